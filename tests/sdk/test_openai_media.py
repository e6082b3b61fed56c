"""OpenAI's other calls against a server of the test's own: a span each, with model, duration, tokens, status."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon

_USAGE: Final = {"input_tokens": 12, "output_tokens": 30, "total_tokens": 42}
_COMPLETION: Final = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "davinci-002",
    "choices": [{"index": 0, "text": " there was a shoe", "finish_reason": "length", "logprobs": None}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9},
}
_FLAGGED: Final = {"flagged": True, "categories": {"violence": True, "hate": False}, "category_scores": {}}
_ANSWERS: Final[dict[str, Any]] = {
    "/v1/completions": _COMPLETION,
    "/v1/images/generations": {"created": 1, "data": [{"b64_json": "QUJD" * 2_000}], "usage": _USAGE},
    "/v1/audio/transcriptions": {"text": "Where is my order?", "usage": {**_USAGE, "type": "tokens"}},
    "/v1/audio/speech": b"RIFF....",
    "/v1/moderations": {"id": "modr-1", "model": "omni-moderation", "results": [_FLAGGED]},
}


class Media(BaseHTTPRequestHandler):
    """Answers the endpoints above with what is written there."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = _ANSWERS[self.path]
        if b'"stream":true' in body.replace(b" ", b""):
            chunk = {**_COMPLETION, "usage": None}
            answer = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (chunk, _COMPLETION))
            answer += b"data: [DONE]\n\n"
        refused = b"err-400" in body
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(400 if refused else 200)
        self.send_header("Content-Type", "text/event-stream" if data[:5] == b"data:" else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def media_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Media)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(media_url: str, start: Start) -> Iterator[OpenAI]:
    start(service_name="shop", instrument=["openai"])
    with OpenAI(base_url=media_url, api_key="x", max_retries=0) as client:
        yield client


def attributes_of(collector: CollectorDouble, name: str) -> dict[str, Any]:
    assert gnomon.flush()
    return dict(collector.span(name).attributes)


def said(attributes: dict[str, Any], direction: str) -> Any:
    return json.loads(attributes[f"gen_ai.{direction}.messages"])[0]["parts"][0]


@pytest.mark.parametrize("streams", [False, True])
def test_legacy_completions(streams: bool, client: OpenAI, collector: CollectorDouble) -> None:
    answer: Any = client.completions.create(model="davinci-002", prompt="Once", max_tokens=5, stream=streams)
    if streams:
        list(answer)
    attributes = attributes_of(collector, "text_completion davinci-002")
    assert said(attributes, "input")["content"] == "Once"
    # Streamed, the stand-in sends the same choice twice.
    assert said(attributes, "output")["content"] == " there was a shoe" * (1 + streams)
    assert attributes["gen_ai.response.finish_reasons"] == ["length"]
    assert attributes["gen_ai.usage.output_tokens"] == 5
    assert ("gen_ai.response.time_to_first_chunk" in attributes) is streams


def test_pictures_are_counted_and_not_recorded(client: OpenAI, collector: CollectorDouble) -> None:
    client.images.generate(model="gpt-image-1", prompt="A red shoe", n=2)
    attributes = attributes_of(collector, "image_generation gpt-image-1")
    assert said(attributes, "input")["content"] == "A red shoe"
    assert said(attributes, "output")["uri"] == "<base64 8000 characters>"
    assert (attributes["gen_ai.usage.output_tokens"], attributes["gen_ai.request.choice.count"]) == (30, 2)
    assert (attributes["gnomon.span.kind"], attributes["gen_ai.output.type"]) == ("generation", "image")


def test_recordings_are_written_down(client: OpenAI, collector: CollectorDouble) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
    attributes = attributes_of(collector, "transcription whisper-1")
    assert said(attributes, "output")["content"] == "Where is my order?"
    assert attributes["gen_ai.usage.input_tokens"] == 12


def test_speech(client: OpenAI, collector: CollectorDouble) -> None:
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="Hello").content == b"RIFF...."
    assert said(attributes_of(collector, "speech tts-1"), "input")["content"] == "Hello"


async def test_moderations_are_guardrails(client: OpenAI, media_url: str, collector: CollectorDouble) -> None:
    async with AsyncOpenAI(base_url=media_url, api_key="x") as asynchronous:
        await asynchronous.moderations.create(model="omni-moderation", input="I will hit you")
    attributes = attributes_of(collector, "moderation omni-moderation")
    assert attributes["gnomon.span.kind"] == "guardrail"
    assert attributes["gnomon.input"] == "I will hit you"
    assert json.loads(attributes["gnomon.output"]) == [{"flagged": True, "categories": ["violence"]}]


def test_their_errors_are_seen(client: OpenAI, collector: CollectorDouble) -> None:
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="err-400", prompt="x")
    assert attributes_of(collector, "image_generation err-400")["error.type"] == "openai.BadRequestError"
