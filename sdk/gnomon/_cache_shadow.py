"""Shadow calls: a sample of look-ups is compared with what the model really answers.

A semantic cache errs in two ways. It returns the answer to another question (a false hit), or it has the
answer and does not find it (lost recall). Neither shows in its hit rate.
"""

import asyncio
import inspect
import queue
import random
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gnomon._errors import UsageError
from gnomon._runtime import runtime
from gnomon._span import span

_MAX_WAITING: Final = 16
_MAX_PENDING: Final = 1_000


@dataclass(frozen=True)
class Shadow:
    """How a semantic cache is measured; opt-in, since each shadow call costs what a call costs.

    Attributes:
        rate: share of look-ups that are checked, 0 to 1.
        call: key → what the model answers now, past the cache; may be a coroutine function. It runs on a
            background thread.
        same: (cached answer, fresh answer) → whether they say the same, as a bool or 0 to 1.
        nearest: key → the nearest stored answer whatever its similarity, or None; measures recall as well.
    """

    rate: float
    call: Callable[[Any], Any]
    same: Callable[[Any, Any], Any]
    nearest: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        with runtime.guard.harmless("a shadow of a cache"):
            if not 0 <= self.rate <= 1:
                object.__setattr__(self, "rate", 0.0)
                raise UsageError("the rate of a shadow must be between 0 and 1: nothing is checked")


@dataclass(slots=True)
class Pending:
    """A look-up that is being checked: its span, where it stood, and the nearest answer there was."""

    trace_id: str | None
    span_id: str | None
    context: Context = field(default_factory=copy_context)
    nearest: Any = None


class ShadowRunner:
    """Runs the shadow calls of one cache, one at a time; more than a few waiting are left out."""

    def __init__(self, cache_name: str, shadow: Shadow) -> None:
        self._name = cache_name
        self._shadow = shadow
        self._random = random.Random()
        self._work: queue.Queue[Callable[[], None]] = queue.Queue(_MAX_WAITING)
        self._missed: OrderedDict[bytes, Pending] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def rate(self) -> float:
        """Share of look-ups that are checked."""
        return self._shadow.rate

    def hit(self, key: object, cached: object, pending: Pending) -> None:
        """Have a hit checked, if it is drawn."""
        if self._is_drawn():
            self._later(lambda: self._check_hit(key, cached, pending), pending)

    def missed(self, key: object, digest: bytes, pending: Pending) -> None:
        """Have a miss checked once the answer is stored, if it is drawn."""
        nearest = self._shadow.nearest
        if nearest is None or not self._is_drawn():
            return

        def look() -> None:
            pending.nearest = nearest(key)

        with self._lock:
            self._missed[digest] = pending
            if len(self._missed) > _MAX_PENDING:
                self._missed.popitem(last=False)
        self._later(look, pending)

    def stored(self, digest: bytes, fresh: object) -> None:
        """The answer to a question that was missed is there."""
        with self._lock:
            pending = self._missed.pop(digest, None)
        if pending is not None:
            self._later(lambda: self._check_miss(fresh, pending), pending)

    def _is_drawn(self) -> bool:
        return runtime.client is not None and self._random.random() < self._shadow.rate

    def _later(self, task: Callable[[], None], pending: Pending) -> None:
        try:
            self._work.put_nowait(lambda: pending.context.copy().run(task))
        except queue.Full:
            runtime.guard.warn_once(
                "shadow", f"gnomon: shadow calls of the cache {self._name} are slower than its look-ups: "
                "some are left out; lower their rate",
            )  # fmt: skip
            return
        if self._thread is None or not self._thread.is_alive():
            # A daemon: the end of the process does not wait for what is only a measurement.
            self._thread = threading.Thread(target=self._run, name="gnomon-shadow", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            task = self._work.get()
            with runtime.guard.harmless("a shadow call"):
                task()
            self._work.task_done()

    def _check_hit(self, key: object, cached: object, pending: Pending) -> None:
        with span(f"cache shadow {self._name}", kind="evaluation"):
            fresh = self._shadow.call(key)
            if inspect.iscoroutine(fresh):
                fresh = asyncio.run(fresh)
            agreement = float(self._shadow.same(cached, fresh))
        self._score("cache_hit_right", agreement, "right" if agreement >= 0.5 else "false_hit", pending)
        if agreement >= 0.5 and self._shadow.nearest is not None:
            self._score("cache_recall", 1.0, "found", pending)

    def _check_miss(self, fresh: object, pending: Pending) -> None:
        if pending.nearest is None:
            return
        with span(f"cache shadow {self._name}", kind="evaluation"):
            agreement = float(self._shadow.same(pending.nearest, fresh))
        if agreement >= 0.5:
            self._score("cache_recall", 0.0, "not_found", pending)

    def _score(self, name: str, value: float, label: str, pending: Pending) -> None:
        client = runtime.client
        if client is None or pending.trace_id is None:
            return
        client.sink.put_score(
            {
                "score_id": str(uuid.uuid4()),
                "trace_id": pending.trace_id,
                "span_id": pending.span_id,
                "session_id": None,
                "name": name,
                "value": min(max(value, 0.0), 1.0),
                "label": label,
                "comment": None,
                "source": "check",
                "author": "gnomon.cache",
                "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
        )
