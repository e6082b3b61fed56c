"""The flusher brings everything over, whatever it is cut off by and whatever stands in its way."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.ingest.payloads import MINUTE_NS, chat_span, hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline
from tests.ingest.test_requests import CAPTURES, mutated

from gnomon_collector.errors import BadRequest, StoreError, StoreUnavailable
from gnomon_collector.store import duplicate_marks, ingest
from gnomon_collector.store.engine import Store
from gnomon_schemas.otlp import encode_envelope
from gnomon_schemas.prices import price_periods

WRAPPER, OWN = "opentelemetry.instrumentation.genai.anthropic", "com.anthropic.sdk.python"


class CutOff(Exception):  # noqa: N818
    """The process ends here, as far as the test is concerned."""


def cut_off(*_: object, **__: object) -> None:
    raise CutOff


def seen_twice() -> list[bytes]:
    """Return a call as two instrumentations report it."""
    start_ns = hour_ago_ns()
    wrapper, own = chat_span(1, start_ns), chat_span(2, start_ns + 1000)
    own.trace_id, own.parent_span_id = wrapper.trace_id, wrapper.span_id
    return [request([wrapper], scope=WRAPPER), request([own], scope=OWN)]


@pytest.mark.parametrize(
    "step", ["insert_batch", "report_batch", "price_batch", "save_prices", "mark_duplicates", "forget"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_at_any_step_and_started_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """What a killed process leaves is taken up by the next one, with other requests beside it by then."""
    for body in seen_twice():
        pipeline.put(body)
    owner: object = {"forget": pipeline.inbox, "mark_duplicates": duplicate_marks}.get(step, ingest)
    with monkeypatch.context() as patch:
        real: Callable[..., object] = getattr(owner, step)

        def run_and_end(*arguments: object, **named: object) -> None:
            real(*arguments, **named)
            raise CutOff

        patch.setattr(owner, step, cut_off if when == "before" else run_and_end)
        with pytest.raises(CutOff):
            pipeline.flusher.flush_oldest()
    path = pipeline.inbox._path
    pipeline.inbox.close()

    again = Pipeline(pipeline.store, path)
    again.put(request([chat_span(9, hour_ago_ns() + 2 * MINUTE_NS, model="gpt-4o")]))
    again.flush()

    rows = again.rows("SELECT request_model, duplicate_of = '', cost_usd IS NULL FROM spans ORDER BY span_id")
    assert sorted(rows) == [("gpt-4o", 1, 0), ("gpt-4o-mini", 0, 0), ("gpt-4o-mini", 1, 0)]
    assert again.value("SELECT sum(calls) FROM calls_per_minute FINAL") == 2
    assert again.value("SELECT sum(calls_with_cost) FROM calls_per_hour FINAL") == 2
    assert again.inbox.waiting_requests == 0
    again.inbox.close()


def test_a_poisonous_request_is_set_aside_and_nothing_else(pipeline: Pipeline) -> None:
    pipeline.store.command("ALTER TABLE spans ADD CONSTRAINT antidote CHECK name != 'poison'")
    try:
        for number in range(7):
            name = "poison" if number == 4 else "good"
            pipeline.put(request([span(number, hour_ago_ns(), name=name)]), project=f"p{number}")
        pipeline.flush()
    finally:
        pipeline.store.command("ALTER TABLE spans DROP CONSTRAINT antidote")

    assert {project for (project,) in pipeline.rows("SELECT project FROM spans")} == {
        f"p{number}" for number in range(7) if number != 4
    }
    assert pipeline.inbox.quarantined() == 1
    assert pipeline.flusher.stats.quarantined == 1
    assert pipeline.flusher.stats.spans == 6
    with closing(sqlite3.connect(pipeline.inbox._path)) as inbox:
        ((project, reason),) = inbox.execute("SELECT project, reason FROM quarantine")
    assert project == "p4"
    assert "antidote" in reason


def test_a_broken_table_is_not_the_requests_fault(pipeline: Pipeline) -> None:
    pipeline.put(request([chat_span(1, hour_ago_ns())]))
    pipeline.put(request([chat_span(2, hour_ago_ns())]))
    pipeline.store.command("RENAME TABLE spans TO spans_elsewhere")
    try:
        with pytest.raises(StoreUnavailable, match="takes no spans at all"):
            pipeline.flusher.flush_oldest()
        assert (pipeline.inbox.quarantined(), pipeline.inbox.waiting_requests) == (0, 2)
    finally:
        pipeline.store.command("RENAME TABLE spans_elsewhere TO spans")
    pipeline.flush()
    assert pipeline.value("SELECT count() FROM calls") == 2


def test_while_the_database_is_away_requests_wait_and_then_all_come(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = {"is_down": True}
    real = ingest.insert_batch

    def insert(*arguments: object) -> None:
        if down["is_down"]:
            raise StoreUnavailable("away")
        real(*arguments)

    monkeypatch.setattr(ingest, "insert_batch", insert)
    pipeline.put(request([chat_span(1, hour_ago_ns())]))
    pipeline.flusher.start()
    try:
        _wait_for(lambda: pipeline.flusher.stats.failures >= 2)
        assert pipeline.inbox.waiting_requests == 1
        assert pipeline.flusher.stats.last_error == "away"
        down["is_down"] = False
        _wait_for(lambda: pipeline.inbox.waiting_requests == 0)
    finally:
        pipeline.flusher.stop()
    assert pipeline.value("SELECT count() FROM calls") == 1


def test_an_error_nobody_thought_of_does_not_end_the_thread(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "report_batch", cut_off)
        pipeline.put(request([chat_span(1, hour_ago_ns())]))
        pipeline.flusher.start()
        _wait_for(lambda: pipeline.flusher.stats.failures >= 1)
    try:
        _wait_for(lambda: pipeline.inbox.waiting_requests == 0)
    finally:
        pipeline.flusher.stop()
    assert pipeline.value("SELECT count() FROM calls") == 1


def _wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_same_span_far_apart_in_one_request_and_again_in_the_next(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    spans = [span(number, start_ns) for number in range(70_000)]
    pipeline.put(request([*spans, spans[0], spans[35_000]]))
    pipeline.put(request([spans[-1], spans[1]]))
    pipeline.flush()
    pipeline.send(request(spans[::1000]))
    assert pipeline.rows("SELECT count(), uniqExact(trace_id) FROM spans") == [(70_000, 70_000)]


def test_the_same_ids_in_two_projects_are_two_spans(pipeline: Pipeline) -> None:
    body = request([chat_span(1, hour_ago_ns())])
    pipeline.put(body, project="left")
    pipeline.put(body, project="right")
    pipeline.flush()
    assert sorted(pipeline.rows("SELECT project, count() FROM calls GROUP BY project")) == [
        ("left", 1),
        ("right", 1),
    ]


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int, width: int = 1) -> bytes:
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_crafted_request_does_not_reach_into_its_neighbour(pipeline: Pipeline) -> None:
    """Attributes of the wrong wire type are skipped by Python and read as a message by ClickHouse.

    Eight bytes say there that a key of any length follows: past the end of the request, into the next one.
    """
    start_ns = hour_ago_ns()
    secret: dict[str, object] = {"secret": "of the neighbour " * 20}
    neighbour = encode_envelope("neighbour", start_ns, "b", request([span(2, start_ns, secret)]))
    for length in [0, 1, 10, *range(len(neighbour) - 12, len(neighbour) + 12)]:
        overrun = bytes([9 << 3 | 1, 1 << 3 | 2]) + _varint(length, 7)
        body = _field(1, _field(2, _field(2, span(1, start_ns).SerializeToString() + overrun)))
        pipeline.store.command("TRUNCATE TABLE spans")
        try:
            ingest.insert_batch(pipeline.store, encode_envelope("attacker", start_ns, "b", body) + neighbour)
        except StoreError as error:
            assert not isinstance(error, StoreUnavailable), error  # which would be tried for ever
            continue
        rows = pipeline.rows("SELECT project, attributes FROM spans ORDER BY project")
        assert [project for project, _ in rows] == ["attacker", "neighbour"]
        assert "neighbour" not in str(rows[0][1])
        assert rows[1][1] == secret


def test_mutated_requests_among_good_ones(pipeline: Pipeline) -> None:
    """What Python takes and ClickHouse does not is mended or set aside; the rest is untouched."""
    chance = random.Random(20260503)
    start_ns = hour_ago_ns()
    good = 0
    for number in range(120):
        try:
            pipeline.put(mutated(chance.choice(CAPTURES), chance), project="mutated")
        except BadRequest:
            pass
        if number % 3 == 0:
            pipeline.put(request([chat_span(number, start_ns)]), project="good")
            good += 1
    pipeline.flush()

    projects = pipeline.rows("SELECT project, count() FROM spans GROUP BY project ORDER BY project")
    assert [project for project, _ in projects] == ["good", "mutated"]
    assert projects[0][1] == good
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL WHERE project = 'good'") == good
    assert pipeline.flusher.stats.failures == 0


def test_prices_are_learnt_from_the_database_after_a_restart(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.send(request([chat_span(1, hour_ago_ns())]))

    def must_not_be_asked(provider: str, model: str) -> list[object]:
        raise AssertionError((provider, model))

    again = Pipeline(pipeline.store, tmp_path / "again.sqlite", must_not_be_asked)
    again.send(request([chat_span(2, hour_ago_ns())]))
    again.inbox.close()
    assert pipeline.value("SELECT count(cost_usd) FROM calls") == 2
    assert price_periods("openai", "gpt-4o-mini")


def test_two_threads_that_carry_the_same_spans_count_each_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every span is sent three times, and the copies are in batches that are under way at the same time."""
    monkeypatch.setattr("gnomon_collector.ingest.flusher._BATCH_BYTES", 1)
    monkeypatch.setattr("gnomon_collector.ingest.flusher._BEHIND_BYTES", 1)
    inserting, most_inserting, threads = [0], [0], set()
    real = Store.insert_raw

    def insert_raw(store: Store, table: str, *arguments: object) -> None:
        threads.add(threading.current_thread().name)
        *rest, turn = arguments

        @contextmanager
        def watched() -> Iterator[None]:
            with turn:
                inserting[0] += 1
                most_inserting[0] = max(most_inserting[0], inserting[0])
                yield
                inserting[0] -= 1

        real(store, table, *rest, watched())

    monkeypatch.setattr(Store, "insert_raw", insert_raw)
    start_ns = hour_ago_ns()
    for number in range(12):
        pipeline.put(request([chat_span(number % 4, start_ns + number % 4)]))
    pipeline.flusher.start()
    try:
        wait_until(lambda: not pipeline.inbox.waiting_requests)
    finally:
        pipeline.flusher.stop()

    assert pipeline.value("SELECT count() FROM spans") == 4
    assert pipeline.value("SELECT countIf(cost_usd > 0) FROM spans") == 4
    assert threads == {"gnomon-flusher", "gnomon-flusher2"}
    assert most_inserting == [1]
    assert (pipeline.flusher.stats.batches, pipeline.flusher.stats.failures) == (12, 0)


def test_a_model_that_gets_its_price_while_the_next_batch_goes_in_has_it_there_too(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second batch is inserted before the price that the first one asked for is saved."""
    monkeypatch.setattr("gnomon_collector.ingest.flusher._BATCH_BYTES", 1)
    start_ns = hour_ago_ns()
    pipeline.put(request([chat_span(1, start_ns)]))
    pipeline.put(request([chat_span(2, start_ns + 1)]), received_at_ns=time.time_ns() + 10**9)
    second = threading.Thread(target=pipeline.flusher.flush_oldest)
    real = ingest.report_batch

    def report_batch(store: Store, batch: ingest.Batch) -> ingest.BatchReport:
        report = real(store, batch)
        if not second.ident:
            second.start()
            wait_until(lambda: store.query("SELECT count() FROM spans").rows[0][0] == 2)
        return report

    monkeypatch.setattr(ingest, "report_batch", report_batch)
    pipeline.flusher.flush_oldest()
    second.join()

    assert pipeline.value("SELECT countIf(cost_usd > 0) FROM spans") == 2
    assert pipeline.inbox.waiting_requests == 0


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
