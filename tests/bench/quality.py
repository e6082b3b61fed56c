"""Judging: spans judged a minute by one worker against a stand-in that takes 300 ms, and what it costs in CPU.

``python -m tests.bench.quality`` fills a queue, works it off, and saves a report. The stand-in runs in a process of
its own, so that its work is not counted as the worker's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.bench.machine import ROOT, this_machine
from tests.bench.report import REPORTS, Goal, Report, Table, load, save
from tests.quality.conftest import NOW, answered, insert, make_setup, policy_text

from gnomon_collector.quality.planner import plan_online
from gnomon_collector.quality.worker import Worker
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import migrate

LATENCY_S: Final = 0.3
CONCURRENCIES: Final = (8, 32, 64)
_LEAST_SHARE: Final = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=3_000, help="to judge in each case (3000)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        _serve(options.serve)
        return
    report = run(options.answers, options.reports)
    for goal in report.goals:
        print(f"{goal.what}: {goal.measured} (wanted {goal.goal})")
    print(save(report, options.reports))


def run(answers: int, reports: Path) -> Report:
    """Measure each concurrency on a directory of its own.

    Args:
        reports: where that of drift is, which this one refers to
    """
    began_s = time.monotonic()
    with _stand_in() as url:
        cases = [measure(url, answers, concurrency) for concurrency in CONCURRENCIES]
    best = max(cases, key=lambda one: one["per_minute"])
    at_32 = next(one for one in cases if one["concurrency"] == 32)
    possible = 60 / LATENCY_S * 32
    goals = [
        Goal(
            "Judged a minute by one worker, 32 calls at a time, 300 ms each",
            f"half of the {possible:,.0f} that the stand-in allows",
            f"{at_32['per_minute']:,.0f}",
            at_32["per_minute"] >= _LEAST_SHARE * possible,
        ),
        Goal(
            "Calls under way at the same time",
            "30 or more",
            f"{at_32['most_at_once']:.0f}",
            at_32["most_at_once"] >= 30,
        ),
        Goal("Verdicts for each answer", "1", f"{at_32['scores'] / answers:.3f}", at_32["scores"] == answers),
    ]
    rows = [
        [
            one["concurrency"],
            round(one["per_minute"]),
            f"{one['per_minute'] / (60 / LATENCY_S * one['concurrency']):.0%}",
            f"{one['cpu_ms']:.1f}",
            round(one["most_at_once"]),
        ]
        for one in cases
    ]
    columns = (
        "Calls at a time",
        "Judged a minute",
        "Of what 300 ms allow",
        "CPU ms a verdict",
        "Most at once",
    )
    return Report(
        name="quality",
        title="Judging",
        command="make bench-quality",
        machine=this_machine(Path(tempfile.gettempdir())),
        seconds=time.monotonic() - began_s,
        goals=goals,
        tables=[Table("One worker, embedded database", columns, rows)],
        notes=[
            f"{answers:,} answers in the queue of each case. CPU is all of the worker's process: claiming, asking,"
            " writing verdicts with fsync, recording the calls as spans with prices and rollups, and the database.",
            f"The best case judged {best['per_minute']:,.0f} a minute.",
            _of_drift(reports),
        ],
        raw={"cases": cases},
    )


def _of_drift(reports: Path) -> str:
    """What the saved report of drift says of its time over millions of spans."""
    saved = load("drift", reports)
    timed = (
        [f"{goal.what}: {goal.measured}" for goal in saved.goals if goal.what.startswith("Drift of")]
        if saved
        else []
    )
    return f"Drift is measured by `make bench-drift`. {'. '.join(timed) or 'It has no saved report'}."


def measure(url: str, answers: int, concurrency: int) -> dict[str, Any]:
    """Judge a queue once; CPU is that of this process."""
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        directory = Path(home)
        setup = make_setup(url, directory, policy_text(usd=1_000.0) + "calls_per_day = 10000000\n")
        settings = setup.settings.model_copy(update={"judge_concurrency": concurrency})
        setup = replace(setup, settings=settings)
        with open_store(f"chdb://{directory / 'chdb'}", data_dir=directory) as store:
            migrate(store)
            insert(store, *(answered(number) for number in range(answers)))
            plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
            waiting = judge_queue.count_waiting(store, "shop", list(setup.versions.values()))
            before, began_s = _cpu_s(), time.monotonic()
            worker = Worker(setup.parts(store))
            asyncio.run(worker.run(until_empty=True))
            seconds, cpu_s = time.monotonic() - began_s, _cpu_s() - before
            scores = int(str(store.query("SELECT count() FROM scores FINAL").rows[0][0]))
    return {
        "concurrency": concurrency,
        "waiting": waiting,
        "judged": worker.stats.judged,
        "scores": scores,
        "seconds": seconds,
        "per_minute": worker.stats.judged / seconds * 60,
        "cpu_ms": cpu_s / max(1, worker.stats.judged) * 1000,
        "most_at_once": _most_at_once(url),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _most_at_once(url: str) -> float:
    import httpx

    return float(httpx.get(f"{url}/most", trust_env=False).text)


@contextlib.contextmanager
def _stand_in() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.bench.quality", "--serve", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the stand-in did not start")


def _serve(port: int) -> None:
    """Answer every call after 300 ms with the first label."""
    under_way = most = 0
    verdict = json.dumps({"reasoning": "It deals with what was asked.", "label": "relevant"})
    message = {"index": 0, "message": {"role": "assistant", "content": verdict}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 500, "completion_tokens": 40, "total_tokens": 540}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}

    async def answer(request: Request) -> Response:
        nonlocal under_way, most
        await request.body()
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(LATENCY_S)
        under_way -= 1
        return JSONResponse(body | {"choices": [message], "usage": usage})

    async def highest(_request: Request) -> Response:
        nonlocal most
        found, most = most, 0
        return Response(str(found))

    routes = [
        Route("/v1/chat/completions", answer, methods=["POST"]),
        Route("/most", highest, methods=["GET"]),
    ]
    uvicorn.run(Starlette(routes=routes), port=port, log_level="warning")


if __name__ == "__main__":
    main()
