"""The oracle called L0: a ledger of what was sent and acknowledged, held against what is stored.

Every acknowledged span is there exactly once, in the spans and in the rollups; an unacknowledged one at most
once; no content differs.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.ingest.payloads import MINUTE_NS, SECOND_NS, chat_span, gzipped, request
from tests.ingest.server_process import ServerProcess

WRAPPER, OWN = "opentelemetry.instrumentation.genai.anthropic", "com.anthropic.sdk.python"
MODELS = ("gpt-4o", "gpt-4o-mini", "o3-mini", "gpt-4.1", "unheard-of")
SPREAD_NS = 20 * MINUTE_NS
_CONTENT = (
    "concat(name, '|', toString(toUnixTimestamp64Nano(start_time)), '|', toString(duration_ns), '|',"
    " attributes['payload'], '|', attributes['deep'], '|', request_model, '|', toString(input_tokens))"
)


@dataclass(frozen=True)
class Request:
    """A body, and the hash of each span in it by ``trace_id:span_id``."""

    project: str
    body: bytes
    hashes: dict[str, str]


@dataclass
class Ledger:
    """What was sent. Safe to use from any thread.

    Attributes:
        hashes: content hash by project and span
        acknowledged: the spans whose request was answered with 200
        refused: answers that were not, by status
    """

    hashes: dict[tuple[str, str], str] = field(default_factory=dict)
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    refused: Counter[int] = field(default_factory=Counter)
    acks: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self, sent: Request) -> None:
        """Note that a request is about to be sent."""
        with self._lock:
            self.hashes.update({(sent.project, span): value for span, value in sent.hashes.items()})

    def answered(self, sent: Request, status: int) -> None:
        """Note the answer."""
        with self._lock:
            if status == 200:
                self.acknowledged.update((sent.project, span) for span in sent.hashes)
                self.acks += 1
            else:
                self.refused[status] += 1


def make_request(project: str, chance: random.Random) -> Request:
    """Return a request of a few calls, half of them reported by two instrumentations, some with deep values."""
    wrappers, owns = [], []
    for _ in range(chance.randint(1, 6)):
        wrapper = _call(chance)
        wrappers.append(wrapper)
        if chance.random() < 0.5:
            own = _call(chance, wrapper)
            owns.append(own)
    body = request(wrappers, scope=WRAPPER) + (request(owns, scope=OWN) if owns else b"")
    return Request(project, body, {_key(each): _hash(each) for each in [*wrappers, *owns]})


def _call(chance: random.Random, parent: Span | None = None) -> Span:
    start_ns = time.time_ns() - SECOND_NS - chance.randrange(SPREAD_NS)
    if parent is not None:
        start_ns = parent.start_time_unix_nano + chance.randrange(1000)
    said: dict[str, object] = {
        "payload": chance.randbytes(chance.choice([10, 500, 3000])).hex(),
        "gen_ai.response.id": chance.randbytes(8).hex()
        if parent is None
        else _text_of(parent, "gen_ai.response.id"),
        "gen_ai.usage.input_tokens": chance.randrange(100_000),
    }
    if chance.random() < 0.1:
        said["deep"] = [[chance.random()]]
    call = chat_span(0, start_ns, model=chance.choice(MODELS), **said)
    call.trace_id, call.span_id = chance.randbytes(16), chance.randbytes(8)
    call.end_time_unix_nano = start_ns + chance.randrange(10 * SECOND_NS)
    if parent is not None:
        call.trace_id, call.parent_span_id = parent.trace_id, parent.span_id
    return call


def _text_of(call: Span, key: str) -> str:
    return next(each.value.string_value for each in call.attributes if each.key == key)


def _key(call: Span) -> str:
    return f"{call.trace_id.hex()}:{call.span_id.hex()}"


def _hash(call: Span) -> str:
    said = {each.key: each.value for each in call.attributes}
    deep = said["deep"].array_value.values[0].array_value.values[0].double_value if "deep" in said else None
    parts = (
        call.name,
        call.start_time_unix_nano,
        call.end_time_unix_nano - call.start_time_unix_nano,
        said["payload"].string_value,
        json.dumps([[deep]]) if deep is not None else "",
        said["gen_ai.request.model"].string_value,
        said["gen_ai.usage.input_tokens"].int_value,
    )
    return hashlib.md5("|".join(map(str, parts)).encode()).hexdigest().upper()


class Load:
    """Threads that send requests until they are told to stop, or the server is gone."""

    def __init__(self, url: str, key: str, project: str, ledger: Ledger, seed: int, threads: int = 3) -> None:
        self._url, self._key, self._project, self._ledger = url, key, project, ledger
        self._stopping = threading.Event()
        self._unanswered: list[Request] = []
        self._threads = [
            threading.Thread(target=self._send, args=(random.Random(seed * 100 + number),))
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Request]:
        """Stop and return the requests that were not acknowledged."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self._unanswered

    def wait_for_acks(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until so many requests more were acknowledged."""
        wanted, deadline = self._ledger.acks + count, time.monotonic() + timeout_s
        while self._ledger.acks < wanted:
            assert time.monotonic() < deadline, self._ledger.refused
            time.sleep(0.001)

    def _send(self, chance: random.Random) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not self._stopping.is_set():
                sent = make_request(self._project, chance)
                self._ledger.sending(sent)
                if not post(client, self._url, self._key, sent, self._ledger, chance):
                    self._unanswered.append(sent)


def post(
    client: httpx.Client, url: str, key: str, sent: Request, ledger: Ledger, chance: random.Random
) -> bool:
    """Send a request, now and then compressed; return whether it was acknowledged."""
    packed = chance.random() < 0.3
    headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {key}"}
    if packed:
        headers["content-encoding"] = "gzip"
    try:
        answer = client.post(
            f"{url}/v1/traces", content=gzipped(sent.body) if packed else sent.body, headers=headers
        )
    except httpx.TransportError:
        return False
    ledger.answered(sent, answer.status_code)
    return answer.status_code == 200


def assert_l0(server: ServerProcess, ledger: Ledger, project: str) -> int:
    """Hold the ledger against what a running server has stored; return how many spans it has."""
    server.wait_until_written()
    rows = server.query(
        f"SELECT concat(trace_id, ':', span_id) AS span, count() AS times, any(hex(MD5({_CONTENT}))) AS hash"
        f" FROM spans WHERE project = '{project}' GROUP BY span"
    )
    stored = {row["span"]: row for row in rows}
    acknowledged = {span for of, span in ledger.acknowledged if of == project}
    assert acknowledged - set(stored) == set(), "lost"
    assert [row for row in rows if row["times"] != 1] == [], "doubled"
    sent = {span: value for (of, span), value in ledger.hashes.items() if of == project}
    assert set(stored) - set(sent) == set(), "never sent"
    assert [span for span, row in stored.items() if row["hash"] != sent[span]] == [], "content differs"
    _assert_derived(server, project)
    return len(stored)


def _assert_derived(server: ServerProcess, project: str) -> None:
    """Check what is computed from the spans: duplicates, costs and rollups."""
    (derived,) = server.query(
        "SELECT countIf(duplicate_of = '' AND parent_span_id != '') AS children,"
        " countIf(duplicate_of != '' AND parent_span_id = '') AS parents, countIf(parent_span_id != '') AS pairs,"
        " countIf(cost_usd IS NULL AND request_model != 'unheard-of') AS unpriced"
        f" FROM spans WHERE project = '{project}'"
    )
    assert derived["parents"] == derived["children"]  # of each pair one counts
    assert derived["unpriced"] == 0
    for table, start in (("calls_per_minute", "toStartOfMinute"), ("calls_per_hour", "toStartOfHour")):
        sums = "sum(c.input_tokens) AS tokens, sum(c.duration_ms) AS duration_ms, sum(ifNull(c.cost_usd, 0)) AS cost_usd"
        rolled_up = server.query(
            f"SELECT time, c.model AS model, sum(c.calls) AS calls, {sums} FROM {table} AS c FINAL"
            f" WHERE project = '{project}' GROUP BY time, model HAVING calls > 0 ORDER BY time, model"
        )
        direct = server.query(
            f"SELECT {start}(start_time) AS time, model, count() AS calls, {sums} FROM"
            f" (SELECT *, duration_ns / 1e6 AS duration_ms FROM calls WHERE project = '{project}') AS c"
            " GROUP BY time, model ORDER BY time, model"
        )
        assert _rounded(rolled_up) == _rounded(direct)


def _rounded(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Take off what the order of summing does to floats: durations are multiples of 1e-6, costs of 5e-8."""
    digits = {"duration_ms": 6, "cost_usd": 9}
    return [
        {
            name: round(value, digits[name]) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]
