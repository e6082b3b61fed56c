"""Retries inside of the clients that are made as openai's is: run where they are installed.

``pip install anthropic groq together cerebras_cloud_sdk`` in an environment of their own, then this file: two of
them ask for other versions of what the rest of the tests is pinned to.
"""

import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

import gnomon
from gnomon import testing

_MESSAGES: Final = [{"role": "user", "content": "Where is my order?"}]
_ANSWER: Final = {
    "id": "a-1",
    "type": "message",
    "object": "chat.completion",
    "created": 1,
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Here."}],
    "stop_reason": "end_turn",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Here."}}],
    "usage": {"input_tokens": 1, "output_tokens": 1, "prompt_tokens": 1, "completion_tokens": 1},
}


class BusyOnce(BaseHTTPRequestHandler):
    """Answers 429 to what is no retry, and to a retry what any of the clients understands."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        is_retry = self.headers.get("x-stainless-retry-count", "0") != "0"
        body = json.dumps(_ANSWER if is_retry else {"error": {"message": "slow down"}}).encode()
        self.send_response(200 if is_retry else 429)
        self.send_header("retry-after-ms", "20")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def busy_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BusyOnce)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask(client: Any) -> None:
    if hasattr(client, "messages"):
        client.messages.create(model="m", max_tokens=5, messages=_MESSAGES)
    else:
        client.chat.completions.create(model="m", messages=_MESSAGES)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("anthropic", "Anthropic"),
        ("groq", "Groq"),
        ("together", "Together"),
        ("cerebras.cloud.sdk", "Cerebras"),
    ],
)
def test_a_retry_shows_with_cause_and_wait(module: str, kind: str, busy_url: str) -> None:
    pytest.importorskip(module)
    with testing.capture() as captured:
        client = getattr(importlib.import_module(module), kind)(base_url=busy_url, api_key="x", max_retries=2)
        with gnomon.span("call"):
            ask(client)
    # Some of them make a first connection when they are made, and try that again as well.
    retry = next(span.attributes for span in reversed(captured.spans) if span.name == "retry")
    assert retry is not None
    assert (retry["gnomon.retry.cause"], retry["gnomon.attempt"]) == ("http_429", 1)
    assert 0 < retry["gnomon.retry.wait_s"] < 5  # type: ignore[operator]
