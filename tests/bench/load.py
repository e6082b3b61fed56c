"""The load generator, a process of its own: ``python -m tests.bench.load --help``.

Keep-alive connections over asyncio streams, bodies from templates: some 3 µs of CPU per span, a fraction of
what the server spends. Each connection sends its next request when the last one is answered, unless
``--rate`` sets the pace. Prints one JSON object (`LoadResult`) on the last line; with ``--markers`` a line
per acknowledged request before it, as it happens.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from tests.bench.gzip_template import GzipTemplate
from tests.bench.payloads import RequestTemplate, request_templates
from tests.bench.quantiles import quantile

_LONGEST_PAUSE_S = 1.0
_ANSWER_S = 120.0


@dataclass(frozen=True)
class LoadOptions:
    """What to send.

    Attributes:
        url: of the OTLP traces endpoint, http only.
        headers: sent with each request.
        spans: per request.
        gzip: compress the bodies.
        seconds: how long new requests are started.
        max_spans: stop after that many, 0 for no bound.
        connections: kept open, one request at a time on each.
        rate: spans per second to keep to, 0 for as fast as answers come.
        markers: print a `Marker` line per acknowledged request.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    spans: int = 100
    gzip: bool = False
    seconds: float = 10.0
    max_spans: int = 0
    connections: int = 8
    rate: float = 0.0
    markers: bool = False


@dataclass(frozen=True)
class Marker:
    """An acknowledged request.

    Attributes:
        trace_id: of its first span.
        acknowledged_at: `time.monotonic` of this machine, the same in all its processes.
        spans: acknowledged so far, this request included.
    """

    trace_id: str
    acknowledged_at: float
    spans: int


@dataclass
class LoadResult:
    """What came of it. Times are `time.monotonic` of this machine."""

    started_at: float = 0.0
    ended_at: float = 0.0
    spans: int = 0
    requests: int = 0
    body_bytes: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    first_error: str = ""
    ack_ms_p50: float = 0.0
    ack_ms_p99: float = 0.0
    ack_ms_max: float = 0.0
    cpu_s: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended_at - self.started_at


class Template(Protocol):
    """Makes request bodies."""

    spans: int

    def fill(self, now_ns: int) -> bytes:
        """Return a body with fresh ids."""


def command(options: LoadOptions) -> list[str]:
    """Return the command line that runs a load."""
    words = [sys.executable, "-m", "tests.bench.load", "--url", options.url]
    for name, value in options.headers:
        words += ["--header", f"{name}: {value}"]
    for name in ("spans", "seconds", "max_spans", "connections", "rate"):
        words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return words + [f"--{name}" for name in ("gzip", "markers") if getattr(options, name)]


class _Load:
    """One run of the generator."""

    def __init__(self, options: LoadOptions) -> None:
        self._options = options
        plain = request_templates(options.spans)
        templates: Sequence[Template] = [GzipTemplate(one) for one in plain] if options.gzip else plain
        self._templates = itertools.cycle(zip(plain, templates, strict=True))
        self._slots = itertools.count()
        self._result = LoadResult()
        self._statuses: Counter[str] = Counter()
        self._ack_s: list[float] = []

    async def run(self) -> LoadResult:
        """Send until the time or the spans are over, and wait for the last answers."""
        result = self._result
        cpu_s = time.process_time()
        result.started_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._options.connections):
                group.create_task(self._keep_sending())
        result.cpu_s = time.process_time() - cpu_s
        result.statuses = dict(self._statuses)
        result.ack_ms_p50 = 1e3 * quantile(self._ack_s, 0.5)
        result.ack_ms_p99 = 1e3 * quantile(self._ack_s, 0.99)
        result.ack_ms_max = 1e3 * max(self._ack_s, default=0.0)
        return result

    async def _keep_sending(self) -> None:
        connection = _Connection(self._options)
        for due_at in self._due_times():
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            plain, template = next(self._templates)
            body = template.fill(time.time_ns())
            if await self._deliver(connection, body) and self._options.markers:
                # With gzip on the first bytes are compressed: markers are for plain bodies.
                self._print_marker(plain, body)
        connection.close()

    def _due_times(self) -> Iterator[float]:
        """When each request of one connection is due, until the load is over."""
        options, result = self._options, self._result
        while True:
            slot = next(self._slots)
            due_s = slot * options.spans / options.rate if options.rate else 0.0
            is_over = max(time.monotonic() - result.started_at, due_s) >= options.seconds
            if is_over or (options.max_spans and slot * options.spans >= options.max_spans):
                return
            yield result.started_at + due_s

    async def _deliver(self, connection: _Connection, body: bytes) -> bool:
        """Send a body until it is acknowledged, as a patient client would; False once the time is over."""
        result = self._result
        while True:
            started = time.monotonic()
            status, retry_after_s, text = await connection.post(body)
            self._statuses[str(status)] += 1
            if status == 200:
                result.ended_at = time.monotonic()
                self._ack_s.append(result.ended_at - started)
                result.spans += self._options.spans
                result.requests += 1
                result.body_bytes += len(body)
                return True
            result.first_error = result.first_error or f"{status}: {text[:300]}"
            if time.monotonic() - result.started_at > self._options.seconds:
                return False
            await asyncio.sleep(min(retry_after_s, _LONGEST_PAUSE_S))

    def _print_marker(self, template: RequestTemplate, body: bytes) -> None:
        marker = Marker(template.first_trace_id(body), self._result.ended_at, self._result.spans)
        print(json.dumps(asdict(marker)), flush=True)


class _Connection:
    """A keep-alive connection, opened anew after an error."""

    def __init__(self, options: LoadOptions) -> None:
        address = urlsplit(options.url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        encoding = [("Content-Encoding", "gzip")] if options.gzip else []
        headers = [
            ("Host", address.netloc),
            ("Content-Type", "application/x-protobuf"),
            *encoding,
            *options.headers,
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._head = f"POST {address.path} HTTP/1.1\r\n{lines}Content-Length: "
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, float, str]:
        """Send `body` and return status, seconds to wait before trying again, and the answer's text.

        Status 0 stands for a broken connection.
        """
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._post(body)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            return 0, 0.2, repr(error)

    async def _post(self, body: bytes) -> tuple[int, float, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(f"{self._head}{len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answer = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return (
            int(status_line.split()[1]),
            float(headers.get("retry-after", "0.2")),
            "".join(filter(str.isprintable, answer.decode("utf-8", "ignore"))),
        )

    def close(self) -> None:
        """Close; the next `post` opens anew."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _parse(arguments: Sequence[str] | None) -> LoadOptions:
    parser = argparse.ArgumentParser(description="Sends OTLP requests of 2.6 KB LLM spans.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--header", action="append", default=[], help="'Name: value', any number of times")
    parser.add_argument("--spans", type=int, default=100)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--max-spans", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--markers", action="store_true")
    values = vars(parser.parse_args(arguments))
    headers = tuple(_header(text) for text in values.pop("header"))
    return LoadOptions(headers=headers, **values)


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a load and print what came of it."""
    result = asyncio.run(_Load(_parse(arguments)).run())
    print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
