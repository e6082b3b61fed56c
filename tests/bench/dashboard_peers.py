"""``make bench-dashboard-peers``: the same views of the same spans in Gnomon's dashboard and in Phoenix's."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
from tests.bench.dashboard_peer_questions import QUESTIONS, Asker, gnomon_asker, phoenix_asker
from tests.bench.dashboard_peer_spans import RARE_WORD, SPANS_PER_TRACE, TRACES_PER_REQUEST, requests
from tests.bench.gnomon_server import BenchError, GnomonServer, gnomon_server
from tests.bench.machine import this_machine
from tests.bench.peer_servers import PEERS, Peer, RunningPeer, install, running
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, run_and_save
from tests.bench.usage import MIB, usage

_PROJECT: Final = "default"
_REQUEST_SPANS: Final = SPANS_PER_TRACE * TRACES_PER_REQUEST
_MOST_UNSEEN: Final = 2000
_STORED_S: Final = 300.0
_SUMMARISED_S: Final = 150.0
_REFUSED: Final = (429, 503)
_COUNT: Final = "SELECT count() AS spans FROM spans"
_TRACE: Final = (
    "SELECT trace_id FROM spans WHERE parent_span_id = '' ORDER BY start_time LIMIT 1 OFFSET {offset}"
)
_COVERED: Final = "SELECT count() AS projects FROM trace_coverage FINAL WHERE since < now() - INTERVAL 1 DAY"


@dataclass(frozen=True)
class Asked:
    """How one server answered one question.

    Attributes:
        took_ms: of each time it was asked, all requests of the view together.
        body_bytes: of the answers to one of these, before compression.
    """

    server: str
    question: str
    requests: int
    took_ms: list[float]
    body_bytes: int


@dataclass(frozen=True)
class Loaded:
    """How the spans came into a server: seconds until its own API found all, and its memory then."""

    server: str
    spans: int
    seconds: float
    rss_bytes: int


def run(options: argparse.Namespace, home: Path) -> Report:
    """Load both servers, ask both in turn, and put the figures together; data goes to `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    phoenix = next(peer for peer in PEERS if peer.program == "phoenix")
    virtualenv = install(phoenix)
    now = datetime.now(UTC)
    with (
        gnomon_server(home / "gnomon", environment={"GNOMON_AUTH": "off"}) as server,
        running(phoenix, virtualenv, home / "phoenix") as peer,
    ):
        loaded = _load_both(peer, phoenix, server, options, now)
        _wait_until(lambda: _number(server, _COVERED) > 0, _SUMMARISED_S)
        middle = _TRACE.format(offset=loaded[0].spans // SPANS_PER_TRACE // 2)
        trace_id = str(server.query(middle)[0]["trace_id"])
        askers = (
            gnomon_asker(server.server.ui_url, _PROJECT, trace_id),
            phoenix_asker(peer.url, virtualenv, now, trace_id),
        )
        asked = ask_in_turn(askers, options.repeats)
    return Report(
        name="dashboard_peers",
        title="Dashboards side by side",
        command=f"python -m tests.bench.dashboard_peers --traces {options.traces} --load-seconds {options.load_seconds:g}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=_goals(asked),
        tables=[_times_table(asked), _loads_table(loaded)],
        notes=_notes(phoenix, loaded[0].spans, options),
        raw={
            "asked": [{**vars(one)} for one in asked],
            "loaded": [{**vars(one)} for one in loaded],
        },
    )


def ask_in_turn(askers: Sequence[Asker], repeats: int) -> list[Asked]:
    """Ask every server every question `repeats` times, one server after the other, after a round that warms up."""
    took: dict[tuple[str, str], list[float]] = {}
    sizes: dict[tuple[str, str], int] = {}
    with httpx.Client(trust_env=False, timeout=120) as client:
        for number in range(repeats + 1):
            for question in QUESTIONS:
                for asker in askers:
                    took_ms, size = asker.ask(client, question)
                    sizes[asker.name, question] = size
                    took.setdefault((asker.name, question), []).extend([took_ms] if number else [])
    return [
        Asked(
            one.name, question, len(one.views[question]), took[one.name, question], sizes[one.name, question]
        )
        for question in QUESTIONS
        for one in askers
    ]


# --- loading --------------------------------------------------------------------------------


def _load_both(
    peer: RunningPeer, phoenix: Peer, server: GnomonServer, options: argparse.Namespace, now: datetime
) -> list[Loaded]:
    """Load Phoenix with as many traces as it takes within the time, then Gnomon with the same."""
    start_ns, end_ns = (int(one.timestamp() * 1e9) for one in (now - timedelta(hours=23), now))

    def bodies() -> Iterable[bytes]:
        return requests(options.traces, start_ns=start_ns, end_ns=end_ns)

    deadline = time.monotonic() + options.load_seconds
    url = f"{peer.url}/v1/traces"
    theirs, sent = _load(
        phoenix.requirement, url, bodies(), lambda: phoenix.count(peer.url), deadline, peer.pid
    )
    ours, _ = _load(
        "Gnomon",
        server.traces_url,
        islice(bodies(), sent),
        lambda: _number(server, _COUNT),
        time.monotonic() + options.load_seconds,
        server.pid,
    )
    return [ours, theirs]


def _load(
    name: str, url: str, bodies: Iterable[bytes], count: Callable[[], int], deadline: float, pid: int
) -> tuple[Loaded, int]:
    """Send requests until the deadline, never far ahead of what can be found; return also how many were sent."""
    started = time.monotonic()
    sent = 0
    with httpx.Client(trust_env=False, timeout=120) as client:
        for body in bodies:
            if time.monotonic() > deadline:
                break
            _send(client, url, body)
            sent += 1
            if sent * _REQUEST_SPANS % _MOST_UNSEEN == 0:
                _wait_for(count, sent * _REQUEST_SPANS - _MOST_UNSEEN + 1)
    _wait_for(count, sent * _REQUEST_SPANS)
    loaded = Loaded(name, count(), time.monotonic() - started, usage(pid).rss_bytes)
    print(f"{loaded.spans:,} spans in {name} after {loaded.seconds:.0f} s", flush=True)
    return loaded, sent


def _send(client: httpx.Client, url: str, body: bytes) -> None:
    for _ in range(100):
        answer = client.post(url, content=body, headers={"Content-Type": "application/x-protobuf"})
        if answer.status_code not in _REFUSED:
            answer.raise_for_status()
            return
        time.sleep(1)
    raise BenchError(f"{url} takes no more spans: {answer.status_code}")


def _wait_for(count: Callable[[], int], wanted: int) -> None:
    _wait_until(lambda: count() >= wanted, _STORED_S)


def _wait_until(is_so: Callable[[], bool], longest_s: float) -> None:
    give_up_at = time.monotonic() + longest_s
    while not is_so() and time.monotonic() < give_up_at:
        time.sleep(0.5)


def _number(server: GnomonServer, sql: str) -> int:
    return int(next(iter(server.query(sql)[0].values())))


# --- report ---------------------------------------------------------------------------------


def _goals(asked: Sequence[Asked]) -> list[Goal]:
    goals = []
    for question in QUESTIONS:
        ours, theirs = (one for one in asked if one.question == question)
        mine, other = quantile(ours.took_ms, 0.5), quantile(theirs.took_ms, 0.5)
        goals.append(
            Goal(
                f"dashboard beside {theirs.server}: {question}, p50",
                "faster",
                f"{mine:,.0f} ms to {other:,.0f} ms, {other / max(mine, 1e-9):.1f} times",
                mine < other,
            )
        )
    return goals


def _times_table(asked: Sequence[Asked]) -> Table:
    rows: list[list[Cell]] = [
        [
            one.question,
            one.server,
            one.requests,
            quantile(one.took_ms, 0.5),
            quantile(one.took_ms, 0.95),
            one.body_bytes / 1e3,
        ]
        for one in asked
    ]
    return Table("Views", ["view", "server", "requests", "p50 ms", "p95 ms", "KB"], rows)


def _loads_table(loaded: Sequence[Loaded]) -> Table:
    rows: list[list[Cell]] = [
        [one.server, one.spans, one.spans / max(one.seconds, 1e-9), one.rss_bytes / MIB] for one in loaded
    ]
    return Table("The spans", ["server", "spans", "spans/s until found", "RSS MiB afterwards"], rows)


def _notes(phoenix: Peer, spans: int, options: argparse.Namespace) -> list[str]:
    return [
        f"Both servers run at once and are asked in turn, {options.repeats} times, after a round that is not"
        f" counted. {phoenix.requirement} got as many traces as it stored in {options.load_seconds:g} s,"
        f" {spans:,} spans over 23 hours; Gnomon the same requests. Spans are OpenInference's, Phoenix's own kind.",
        "A view is what its dashboard sends for it, over six connections at most: Gnomon's requests are"
        " recorded in Chromium and posted again, Phoenix's are the GraphQL operations of its own JavaScript"
        " (TracesTableQuery, TraceDetailsQuery with SpanDetailsQuery, TraceLatencyPercentilesTimeSeriesQuery with"
        " TraceTokenCostTimeSeriesQuery, SpansTableSpansQuery). Gnomon's answers are figures and rows ready to"
        " show, a hundred rows to a page; Phoenix's are data, thirty rows.",
        f"The rare text ({RARE_WORD!r}) stands in one trace of a thousand. Phoenix looks for it in `input.value`,"
        " Gnomon in inputs and outputs.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=12_500, help="of four spans, at most (12500)")
    parser.add_argument("--load-seconds", type=float, default=600.0, help="longest load of one server (600)")
    parser.add_argument("--repeats", type=int, default=20, help="of each view (20)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    run_and_save(lambda home: run(options, home), options.reports)


if __name__ == "__main__":
    main()
