"""Bodies of 16 MiB that are cheap to send and dear to take in: answered in time, in bounded memory, and never a 5xx."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.ingest.payloads import chat_span, hour_ago_ns, key_values, request, span
from tests.ingest.server_process import ServerProcess

ROOM = 16 * 2**20 - 4096
MOST_MIB = 2560
ANSWER_S = 60


def one_long_text() -> Span:
    return span(1, hour_ago_ns(), {"x": "a" * ROOM})


def one_long_key() -> Span:
    return span(1, hour_ago_ns(), {"k" * ROOM: 1})


def small_attributes() -> Span:
    return span(1, hour_ago_ns(), {f"{number:x}": 1 for number in range(ROOM // 14)})


def empty_values_in_a_list() -> Span:
    values = ArrayValue(values=[AnyValue()] * (ROOM // 2))
    made = span(1, hour_ago_ns())
    made.attributes.add(key="x").value.array_value.CopyFrom(values)
    return made


def lists_in_lists() -> Span:
    value = AnyValue(int_value=1)
    for _ in range(30):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    made = span(1, hour_ago_ns())
    block = AnyValue(array_value=ArrayValue(values=[value] * (ROOM // (value.ByteSize() + 4))))
    made.attributes.add(key="x").value.CopyFrom(block)
    return made


def pairs_of_nothing() -> Span:
    made = span(1, hour_ago_ns())
    pairs = KeyValueList(values=key_values({"": 1})[:1] * (ROOM // 8))
    made.attributes.add(key="x").value.kvlist_value.CopyFrom(pairs)
    return made


def empty_events() -> Span:
    made = span(1, hour_ago_ns())
    made.events.extend([Span.Event()] * (ROOM // 2))
    return made


def empty_links() -> Span:
    made = span(1, hour_ago_ns())
    made.links.extend([Span.Link()] * (ROOM // 2))
    return made


BODIES: dict[str, Callable[[], Span]] = {
    each.__name__: each
    for each in (
        *(one_long_text, one_long_key, small_attributes, empty_values_in_a_list),
        *(lists_in_lists, pairs_of_nothing, empty_events, empty_links),
    )
}


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile") / "data") as server:
        yield server


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_dear_to_take_in(
    own_server: ServerProcess, name: str, record_property: Callable[[str, object], None]
) -> None:
    body = request([BODIES[name]()])
    assert len(body) < 16 * 2**20
    key, started_s = own_server.key(name), time.monotonic()
    own_server.http.timeout = ANSWER_S
    answer = own_server.post("/v1/traces", body, key)
    answered_s = time.monotonic() - started_s
    assert answer.status_code in (200, 400, 413), answer.text
    own_server.export(request([chat_span(9, hour_ago_ns())]), own_server.key(f"beside-{name}"))
    own_server.wait_until_written()
    written_s = time.monotonic() - started_s
    peak_mib = _peak_mib(own_server.pid)
    rows = own_server.query(f"SELECT count() AS n FROM spans WHERE project = 'beside-{name}'")
    assert rows == [{"n": 1}]
    assert peak_mib < MOST_MIB
    size_mib = len(body) / 2**20
    record_property(
        "figure",
        f"{name.replace('_', ' ')}, {size_mib:.0f} MiB: {answer.status_code} after {answered_s:.1f} s,"
        f" written after {written_s:.1f} s, peak RSS so far {peak_mib:.0f} MiB",
    )
