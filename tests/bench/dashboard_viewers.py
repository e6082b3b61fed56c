"""Many viewers on live refresh: HTTP clients that post what a page in Chromium posts, beside an ingest."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx
from tests.bench.dashboard_browser import REFRESH_S, Posted
from tests.bench.gnomon_server import PROJECT, BenchError, GnomonServer
from tests.bench.load import LoadOptions, LoadResult, command
from tests.bench.machine import ROOT

_AT_ONCE: Final = 6
"""Connections that a browser opens to one host."""

_ANSWER_S: Final = 60.0
_GRACE_S: Final = 5.0
# Whatever the project: without authentication spans go to the default one.
_COUNT: Final = f"SELECT count() AS spans FROM spans WHERE batch != '{PROJECT}'"


@dataclass(frozen=True)
class Beside:
    """Some seconds of ingest with so many viewers.

    Attributes:
        stored: spans of the load that are in the database `_GRACE_S` seconds after its end at the latest.
        answers_ms: of every request of every viewer.
        failed: requests with another status than 200 or 204.
    """

    viewers: int
    load: LoadResult
    stored: int
    answers_ms: list[float]
    failed: int


def ingest_beside(
    server: GnomonServer, pages: Sequence[Sequence[Posted]], *, viewers: int, seconds: float, rate: float
) -> Beside:
    """Send spans for some seconds while viewers look at the pages in turn, each refreshing every `REFRESH_S`.

    Raises:
        BenchError: the load generator failed.
    """
    before = _count(server)
    options = LoadOptions(server.traces_url, server.headers, seconds=seconds, rate=rate)
    load = subprocess.Popen(command(options), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    answers = asyncio.run(_watch(server.server.ui_url, pages, viewers, seconds))
    output, _ = load.communicate(timeout=seconds + _ANSWER_S)
    if load.returncode:
        raise BenchError(f"the load generator ended with {load.returncode}")
    result = LoadResult(**json.loads(output.splitlines()[-1]))
    return Beside(
        viewers,
        result,
        _stored(server, before, result.spans),
        [took_ms for took_ms, _ in answers],
        sum(not is_good for _, is_good in answers),
    )


def _stored(server: GnomonServer, before: int, wanted: int) -> int:
    give_up_at = time.monotonic() + _GRACE_S
    while (stored := _count(server) - before) < wanted and time.monotonic() < give_up_at:
        time.sleep(0.2)
    return stored


def _count(server: GnomonServer) -> int:
    return int(server.query(_COUNT)[0]["spans"])


async def _watch(
    ui_url: str, pages: Sequence[Sequence[Posted]], viewers: int, seconds: float
) -> list[tuple[float, bool]]:
    answers: list[tuple[float, bool]] = []
    ends_at = time.monotonic() + seconds
    await asyncio.gather(
        *(
            _view(ui_url, pages[number % len(pages)], REFRESH_S * number / viewers, ends_at, answers)
            for number in range(viewers)
        )
    )
    if not viewers:
        await asyncio.sleep(seconds)
    return answers


async def _view(
    ui_url: str,
    page: Sequence[Posted],
    starts_after_s: float,
    ends_at: float,
    answers: list[tuple[float, bool]],
) -> None:
    limits = httpx.Limits(max_connections=_AT_ONCE)
    headers = {"Content-Type": "application/json", "Origin": ui_url, "Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(
        base_url=ui_url, headers=headers, limits=limits, timeout=_ANSWER_S, trust_env=False
    ) as client:
        due = time.monotonic() + starts_after_s
        while due < ends_at:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            answers += await asyncio.gather(*(_ask(client, one) for one in page))
            due += REFRESH_S


async def _ask(client: httpx.AsyncClient, posted: Posted) -> tuple[float, bool]:
    started = time.perf_counter()
    answer = await client.post(posted.path, content=posted.body)
    return 1e3 * (time.perf_counter() - started), answer.status_code in (200, 204)
