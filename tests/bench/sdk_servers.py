"""A provider and a collector on loopback that cost as little as possible: canned answers, counted requests.

Run as a program it serves both on one free port, which it prints. Standard library only.

- ``POST …/chat/completions``, ``…/embeddings``: OpenAI's API, streamed when the request says so
- ``GET /counted``: requests and bytes everything else sent so far, as JSON
- any other ``POST``: the collector, which takes everything
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

ANSWER: Final = (
    "Your parcel with the red running shoes left our warehouse on Monday morning and is on its way. "
    "The carrier expects to hand it over between Wednesday noon and Thursday evening. You will receive a "
    "message with the exact time on the day before. If nobody is at home the courier leaves a card and "
    "tries again the day after; a neighbour may take it, too. Returns are free of charge for 30 days. "
) * 2
CHUNKS: Final = 60
DIMENSIONS: Final = 256
_USAGE: Final = {
    "prompt_tokens": 412,
    "completion_tokens": 187,
    "total_tokens": 599,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def _chat() -> bytes:
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": ANSWER, "refusal": None},
    }
    return _dumped({**_head("chat.completion"), "choices": [choice], "usage": _USAGE})


def _stream() -> bytes:
    size = len(ANSWER) // CHUNKS + 1
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": ANSWER[at : at + size]} for at in range(0, len(ANSWER), size)]
    events = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    events.append(_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    events.append({**_chunk([]), "usage": _USAGE})
    return b"".join(b"data: " + _dumped(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {**_head("chat.completion.chunk"), "choices": choices, "usage": None}


def _head(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-bench",
        "object": kind,
        "created": 1_780_000_000,
        "model": "gpt-4.1-mini-2025-04-14",
        "system_fingerprint": "fp_bench",
        "service_tier": "default",
    }


def _embedding() -> bytes:
    vector = [round(0.001 * index - 0.1, 6) for index in range(DIMENSIONS)]
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return _dumped({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage})


def _dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _response(body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class BothServers(asyncio.Protocol):
    """One connection: HTTP/1.1 requests with a content length or chunked, one after the other."""

    counted: dict[str, int]

    def __init__(self, counted: dict[str, int], answers: dict[str, bytes]) -> None:
        self.counted = counted
        self._answers = answers
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (request := self._complete()) is not None:
            self._transport.write(self._answer(*request))

    def _complete(self) -> tuple[str, bytes] | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            end = rest.find(b"0\r\n\r\n")
            size = -1 if end < 0 else end + 5
        else:
            size = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if size < 0 or len(rest) < size:
            return None
        self._buffer = rest[size:]
        return head.split(b" ", 2)[1].decode(), rest[:size]

    def _answer(self, path: str, body: bytes) -> bytes:
        if path.endswith("/chat/completions"):
            streamed = b'"stream":true' in body.replace(b" ", b"")
            return self._answers["stream" if streamed else "chat"]
        if path.endswith("/embeddings"):
            return self._answers["embeddings"]
        if path == "/counted":
            return _response(_dumped(self.counted))
        self.counted["requests"] += 1
        self.counted["bytes"] += len(body)
        return _response(b"", "application/x-protobuf")


async def main() -> None:
    """Serve until killed."""
    counted = {"requests": 0, "bytes": 0}
    answers = {
        "chat": _response(_chat()),
        "stream": _response(_stream(), "text/event-stream"),
        "embeddings": _response(_embedding()),
    }
    server = await asyncio.get_running_loop().create_server(
        lambda: BothServers(counted, answers), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
