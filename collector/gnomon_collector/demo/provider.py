"""A stand-in for OpenAI's HTTP API on loopback: believable answers, latencies, token counts and faults.

It serves the demo and the tests; nothing leaves the machine and no key is checked.
"""

import argparse
import asyncio
import functools
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import sha256
from random import Random
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gnomon_collector.demo import judge
from gnomon_collector.demo.children import when_parent_exits
from gnomon_collector.demo.completions import (
    ChatRequest,
    Completion,
    InvalidRequestError,
    chunk_bodies,
    complete,
    completion_body,
    reworded,
)
from gnomon_collector.demo.embeddings import DEFAULT_DIMENSIONS, as_base64, embed
from gnomon_collector.demo.faults import HANG_S, ErrorAnswer, Fault, draw_fault, error_answer, forced_fault
from gnomon_collector.demo.models import PROFILES, count_tokens, draw_timing, profile_of
from gnomon_collector.demo.responses import event_bodies, request_of, response_body
from gnomon_collector.demo.substitution import substituted

_CONTEXT_TOKENS: Final = 128_000
_RETRY_AFTER_MS: Final = 400
_CHUNKS_BEFORE_FAULT: Final = 3
_BUCKETS: Final = 4096
_ENDED: Final = b"data: [DONE]\n\n"


class ConnectionCutError(Exception):
    """Raised inside a response body to make the server drop the connection."""


class Draws:
    """Gives each request its own `Random`, the same for the same seed and the same history of its body.

    Keyed by the body and how often it came before, not by arrival order, so that concurrent clients
    get the same answers in every run. The counters are bucketed to stay bounded.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts = [0] * _BUCKETS

    def next_for(self, body: bytes) -> tuple[str, Random]:
        """A hex id that no other request of this provider has, and the request's `Random`."""
        bucket = int.from_bytes(sha256(body).digest()[:8], "big") % _BUCKETS
        self._counts[bucket] += 1
        key = b"%d/%d/%d/" % (self._seed, bucket, self._counts[bucket])
        return sha256(key + body).hexdigest()[:24], Random(key + body)


class Provider:
    """The endpoints of the stand-in, bound to a seed, a speed and a rate of random faults."""

    def __init__(
        self, *, seed: int, latency_scale: float, error_rate: float, substitutes: bool = False
    ) -> None:
        self._substitutes = substitutes
        self._draws = Draws(seed)
        self._latency_scale = latency_scale
        self._error_rate = error_rate

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        body = await request.body()
        answer_id, rng = self._draws.next_for(body)
        try:
            fields = _json_object(body)
            chat = ChatRequest.from_body(fields)
        except InvalidRequestError as error:
            return _error_response(_invalid(error))
        fault = _chat_fault(chat, request) or draw_fault(rng, self._error_rate)
        completion = complete(chat, answer_id=answer_id, created_s=int(time.time()), rng=rng)
        if self._substitutes:
            completion = substituted(completion, chat.model, chat.question, rng)
        if judge.is_judgement(fields):
            completion = reworded(completion, judge.verdict(fields))
        if chat.stream and fault in (None, Fault.MIDSTREAM, Fault.CUT):
            chunks = [_event(chunk) for chunk in chunk_bodies(completion, include_usage=chat.include_usage)]
            return StreamingResponse(
                self._streamed([*chunks, _ENDED], completion, fault), media_type="text/event-stream"
            )
        if fault is not None:
            return await self._failed(fault)
        await self._wait(completion.timing.total_s)
        return _answered(completion_body(completion), answer_id)

    async def responses(self, request: Request) -> Response:
        """`POST /v1/responses`."""
        body = await request.body()
        answer_id, rng = self._draws.next_for(body)
        try:
            fields = _json_object(body)
            chat = request_of(fields)
        except InvalidRequestError as error:
            return _error_response(_invalid(error))
        fault = _chat_fault(chat, request) or draw_fault(rng, self._error_rate)
        completion = complete(chat, answer_id=answer_id, created_s=int(time.time()), rng=rng)
        if chat.stream and fault in (None, Fault.MIDSTREAM, Fault.CUT):
            events = [
                f"event: {event['type']}\n".encode() + _event(event)
                for event in event_bodies(completion, fields)
            ]
            return StreamingResponse(
                self._streamed(events, completion, fault), media_type="text/event-stream"
            )
        if fault is not None:
            return await self._failed(fault)
        await self._wait(completion.timing.total_s)
        return _answered(response_body(completion, fields), answer_id)

    async def embeddings(self, request: Request) -> Response:
        """`POST /v1/embeddings`."""
        body = await request.body()
        answer_id, rng = self._draws.next_for(body)
        try:
            fields = _json_object(body)
            texts, dimensions = _embedding_inputs(fields)
        except InvalidRequestError as error:
            return _error_response(_invalid(error))
        model = str(fields.get("model"))
        fault = forced_fault(model) or draw_fault(rng, self._error_rate / 4)
        if fault is not None:
            return await self._failed(fault)
        await self._wait(draw_timing(profile_of(model), 0, rng).total_s)
        as_floats = fields.get("encoding_format") != "base64"
        return _answered(_embedding_body(model, texts, dimensions, as_floats=as_floats), answer_id)

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        names = [{"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in PROFILES]
        return JSONResponse({"object": "list", "data": names})

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._latency_scale)

    async def _failed(self, fault: Fault) -> Response:
        await self._wait(HANG_S if fault is Fault.TIMEOUT else 0.05)
        # 0 would make the client fall back to its own, longer, waiting time.
        retry_after_ms = max(1, round(_RETRY_AFTER_MS * self._latency_scale))
        return _error_response(error_answer(fault, retry_after_ms))

    async def _streamed(
        self, chunks: Sequence[bytes], completion: Completion, fault: Fault | None
    ) -> AsyncIterator[bytes]:
        writing_s = completion.timing.total_s - completion.timing.first_token_s
        await self._wait(completion.timing.first_token_s)
        for index, chunk in enumerate(chunks):
            if fault is not None and index == _CHUNKS_BEFORE_FAULT:
                yield _broken(fault)
                return
            yield chunk
            await self._wait(writing_s / len(chunks))


def make_provider_app(
    *, seed: int, latency_scale: float = 1.0, error_rate: float = 0.03, substitutes: bool = False
) -> Starlette:
    """The provider as an ASGI app: `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/models`.

    Args:
        seed: same seed and same requests give the same answers, times and faults.
        latency_scale: factor on every wait; 0 answers at once, 1 takes up to 1.8 s (2.5 s for a
            timeout).
        error_rate: share of chat requests that fail at random, 0 to 1; embeddings fail a quarter as
            often. Model names `err-429`, `err-429-once`, `err-500`, `err-400`, `err-401`, `err-404`,
            `err-timeout`, `err-midstream` and `err-cut` always fail that way.
        substitutes: let another model answer for one, see `substitution`.
    """
    provider = Provider(
        seed=seed, latency_scale=latency_scale, error_rate=error_rate, substitutes=substitutes
    )
    return Starlette(
        routes=[
            Route("/v1/chat/completions", provider.chat, methods=["POST"]),
            Route("/v1/responses", provider.responses, methods=["POST"]),
            Route("/v1/embeddings", provider.embeddings, methods=["POST"]),
            Route("/v1/models", provider.models, methods=["GET"]),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the provider's process; ends on SIGTERM, SIGINT or when its parent is gone."""
    options = _parser().parse_args(arguments)
    seed = Random().getrandbits(32) if options.seed is None else options.seed
    app = make_provider_app(
        seed=seed,
        latency_scale=options.latency_scale,
        error_rate=options.error_rate,
        substitutes=options.substitutes,
    )
    # Connections that the app cuts on purpose are no errors worth a stack trace.
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    if options.watch_parent:
        when_parent_exits(functools.partial(setattr, server, "should_exit", True))
    # Bound here, since at that log level uvicorn would not say why it could not.
    with socket.create_server(("127.0.0.1", options.port)) as listener:
        server.run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gnomon_collector.demo.provider", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=None, help="for answers that repeat")
    parser.add_argument("--latency-scale", type=float, default=1.0)
    parser.add_argument("--error-rate", type=float, default=0.04)
    parser.add_argument("--substitutes", action="store_true", help="answer for one model with another")
    parser.add_argument("--watch-parent", action="store_true", help="end when standard input closes")
    return parser


def _chat_fault(chat: ChatRequest, request: Request) -> Fault | None:
    fault = forced_fault(chat.model)
    if fault is Fault.RATE_LIMIT_ONCE:
        is_retry = request.headers.get("x-stainless-retry-count", "0") != "0"
        return None if is_retry else fault
    if fault is None and chat.input_tokens > _CONTEXT_TOKENS:
        return Fault.CONTEXT_LENGTH
    return fault


def _broken(fault: Fault) -> bytes:
    if fault is Fault.CUT:
        raise ConnectionCutError
    return b"event: error\n" + _event(error_answer(Fault.SERVER_ERROR, 0).body())


def _event(body: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise InvalidRequestError("we could not parse the JSON body of your request") from error
    if not isinstance(value, dict):
        raise InvalidRequestError("the JSON body of your request must be an object")
    return value


def _invalid(error: InvalidRequestError) -> ErrorAnswer:
    return ErrorAnswer(400, str(error), "invalid_request_error")


def _error_response(answer: ErrorAnswer) -> Response:
    return JSONResponse(answer.body(), status_code=answer.status, headers=answer.headers)


def _answered(body: dict[str, object], answer_id: str) -> Response:
    return JSONResponse(body, headers={"x-request-id": f"req_{answer_id}"})


def _embedding_inputs(fields: dict[str, Any]) -> tuple[list[str], int]:
    given = fields.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError("'input' must be a string or a non-empty list of strings")
    dimensions = fields.get("dimensions") or DEFAULT_DIMENSIONS
    if not isinstance(dimensions, int) or not 0 < dimensions <= DEFAULT_DIMENSIONS:
        raise InvalidRequestError(f"'dimensions' must be a whole number from 1 to {DEFAULT_DIMENSIONS}")
    return texts, dimensions


def _embedding_body(model: str, texts: list[str], dimensions: int, *, as_floats: bool) -> dict[str, object]:
    tokens = sum(count_tokens(text) for text in texts)
    return {
        "object": "list",
        "data": list(_embedding_items(texts, dimensions, as_floats=as_floats)),
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _embedding_items(texts: list[str], dimensions: int, *, as_floats: bool) -> Iterator[dict[str, object]]:
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        yield {
            "object": "embedding",
            "index": index,
            "embedding": vector if as_floats else as_base64(vector),
        }


if __name__ == "__main__":
    main()
