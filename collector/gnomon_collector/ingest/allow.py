"""``GET /v1/allow``: whether a budget still lets a call through. Answered from memory.

Who is over a budget is worked out by the jobs, which write it to the store every few seconds. Here it is read
again when somebody asks and the last reading is older than two seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from gnomon_collector.errors import StoreError
from gnomon_collector.ingest.authorize import Authorize, NotAuthorized
from gnomon_collector.store.budgets import BudgetState, Per, budget_states, save_denials
from gnomon_collector.store.engine import Store

_log = logging.getLogger(__name__)

WhenUnknown: TypeAlias = Literal["open", "closed"]
SUBJECTS: Mapping[str, Per] = {
    "user": "user",
    "company": "company",
    "model": "model",
    "service": "service",
    "prompt": "prompt",
}
"""Query parameters of the route, and what they name."""

_FRESH_S = 2.0
_STALE_S = 60.0
"""A reading that is older says nothing any more."""

_REPORT_EVERY_S = 10.0
_RETRY_S = 60.0
_LONGEST_NAME = 500


@dataclass(frozen=True)
class Answer:
    """Whether a call may be made.

    Attributes:
        reason: why not, for people
        retry_after_s: seconds after which it may be allowed again; None where that is not known
        budget: the budget that is used up
    """

    allowed: bool
    reason: str = ""
    retry_after_s: float | None = None
    budget: str = ""


@dataclass(frozen=True)
class _Reading:
    at_s: float
    over: Mapping[str, tuple[BudgetState, ...]]


class AllowBook:
    """Who is over a blocking budget. Safe in any thread."""

    def __init__(
        self,
        store: Store,
        when_unknown: WhenUnknown,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._when_unknown = when_unknown
        self._clock = clock
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._denied: Counter[tuple[str, str, str]] = Counter()
        self._minute = clock().replace(second=0, microsecond=0)
        self._reported_at_s = float("-inf")
        self._reporter = f"{socket.gethostname()}:{os.getpid()}"

    @property
    def is_fresh(self) -> bool:
        """Whether `answer` needs no query."""
        return self._reading is not None and time.monotonic() - self._reading.at_s < _FRESH_S

    def answer(self, project: str, subjects: Mapping[Per, str]) -> Answer:
        """Return whether a call for these subjects may be made. Never raises."""
        over = self._over(project)
        if over is None:
            return self._unknown()
        for state in over:
            if state.per == "project" or subjects.get(state.per) == state.subject:
                self._count(state)
                return _refusal(state, self._clock())
        return Answer(True)

    def _over(self, project: str) -> tuple[BudgetState, ...] | None:
        """The blocking budgets of a project that are used up; None when that is not known."""
        if not self.is_fresh:
            self._refresh()
        reading = self._reading
        if reading is None or time.monotonic() - reading.at_s > _STALE_S:
            return None
        return reading.over.get(project, ())

    def _refresh(self) -> None:
        if not self._lock.acquire(blocking=self._reading is None):
            return  # another thread is at it; what is known will do
        try:
            if self.is_fresh:
                return
            found = [one for one in budget_states(self._store, only="over") if one.is_blocking]
            self._reading = _Reading(time.monotonic(), _by_project(found))
            self._report()
        except StoreError as error:
            _log.warning("Budgets could not be read: %s", error)
        finally:
            self._lock.release()

    def _unknown(self) -> Answer:
        if self._when_unknown == "open":
            return Answer(True, "budgets cannot be read now; calls are let through")
        return Answer(False, "budgets cannot be read now, and GNOMON_ALLOW_WHEN_UNKNOWN is closed", _RETRY_S)

    def _count(self, state: BudgetState) -> None:
        self._denied[state.project, state.budget, state.subject] += 1

    def _report(self) -> None:
        """Write how often was refused in this minute, so that people see who is limited."""
        minute = self._clock().replace(second=0, microsecond=0)
        is_over = minute != self._minute
        is_due = is_over or time.monotonic() - self._reported_at_s > _REPORT_EVERY_S
        if self._denied and is_due:
            save_denials(self._store, self._minute, self._reporter, dict(self._denied))
            self._reported_at_s = time.monotonic()
        if is_over:
            self._denied.clear()
            self._minute = minute


def _by_project(states: list[BudgetState]) -> dict[str, tuple[BudgetState, ...]]:
    names = {one.project for one in states}
    return {name: tuple(one for one in states if one.project == name) for name in names}


def _refusal(state: BudgetState, now: datetime) -> Answer:
    who = f"{state.per} {state.subject}" if state.subject else "the project"
    reason = (
        f"The budget {state.budget!r} of {who} is used up: {_amount(state)} in {_window(state.window_s)}."
    )
    wait_s = max(0.0, (state.retry_at - now).total_seconds()) if state.retry_at else None
    return Answer(False, reason, wait_s, state.budget)


def _amount(state: BudgetState) -> str:
    if state.measure == "cost_usd":
        return f"${state.spent:.2f} of ${state.limit_value:.2f}"
    what = "tokens" if state.measure == "total_tokens" else "calls"
    return f"{state.spent:,.0f} of {state.limit_value:,.0f} {what}"


def _window(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def add_allow_route(app: FastAPI, authorize: Authorize, book: AllowBook) -> None:
    """Add ``GET /v1/allow``: ingest keys ask it for their own project."""

    async def allow(request: Request) -> Response:
        try:
            sender = authorize(request.headers, ("ingest",))
        except NotAuthorized as error:
            return JSONResponse({"detail": str(error)}, status_code=error.http_status)
        named = request.query_params
        subjects = {per: named[name][:_LONGEST_NAME] for name, per in SUBJECTS.items() if named.get(name)}
        if book.is_fresh:
            answer = book.answer(sender.project, subjects)
        else:
            answer = await asyncio.to_thread(book.answer, sender.project, subjects)
        return JSONResponse(asdict(answer))

    app.add_route("/v1/allow", allow, methods=["GET"])
