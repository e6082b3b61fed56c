"""`gnomon.allow`: may this user or company still spend? Answered from memory; asked for in the background.

The collector keeps the budgets. The caller never waits for it: the first question about someone is answered
"allowed", and the answer is there for the next one.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from os import getpid
from queue import Empty, Full, Queue
from typing import Final, Protocol

from gnomon._guard import Guard
from gnomon._runtime import runtime

Subject = tuple[str, str, str, str]
"""User, company, model and prompt; "" where none is named."""

_FRESH_S: Final = 5.0
"""How long an answer is used before it is asked for again; the old one is used meanwhile."""
_STALE_S: Final = 300.0
"""How long an answer counts at all while the collector does not answer."""
_UNSUPPORTED_S: Final = 60.0
"""How long a collector without budgets is left in peace."""
_MAX_SUBJECTS: Final = 10_000
_MAX_WAITING: Final = 1_000
_IDLE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether something may be spent; true when it may.

    Attributes:
        allowed: the answer.
        reason: why not, for people.
        retry_after_s: when the budget starts anew, in seconds; None when nobody knows.
        budget: name of the budget that is used up.
        known: whether the collector has said so; False for an answer given because nobody knows better.
    """

    allowed: bool = True
    reason: str = ""
    retry_after_s: float | None = None
    budget: str = ""
    known: bool = False

    def __bool__(self) -> bool:
        return self.allowed


class Ask(Protocol):
    """Asks the collector; None when it has no budgets. Raises OSError and the like when it is not there."""

    def __call__(self, subject: Subject) -> Allowance | None: ...


@dataclass(slots=True)
class _Entry:
    """The last answer, when it came, and when it was asked for last."""

    answer: Allowance
    answered_at_s: float
    tried_at_s: float


class Limits:
    """Answers from memory, and keeps the memory fresh on a thread of its own; bounded in every way."""

    def __init__(self, ask: Ask, guard: Guard, now_s: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._guard = guard
        self._now_s = now_s
        self._unsupported_until_s = float("-inf")
        self._start_anew()

    def allow(self, subject: Subject, fail_open: bool, wait_s: float) -> Allowance:
        """Return what is known; see `gnomon.allow`."""
        if self._pid != getpid():
            self._start_anew()
        now_s = self._now_s()
        entry = self._entries.get(subject)
        if (entry is None or now_s - entry.tried_at_s >= _FRESH_S) and now_s >= self._unsupported_until_s:
            self._refresh(subject)
            if wait_s > 0 and (entry is None or not entry.answer.known):
                self._wait(subject, wait_s)
                entry, now_s = self._entries.get(subject), self._now_s()
        if entry is not None and entry.answer.known and now_s - entry.answered_at_s < _STALE_S:
            return entry.answer
        is_open = fail_open or now_s < self._unsupported_until_s
        return _UNKNOWN if is_open else _UNKNOWN_REFUSED

    def _start_anew(self) -> None:
        """Forget everything: at the start, and in a forked child, whose thread is gone."""
        self._pid = getpid()
        self._entries: OrderedDict[Subject, _Entry] = OrderedDict()
        self._waiting: Queue[Subject] = Queue(_MAX_WAITING)
        self._asking: set[Subject] = set()
        self._answered = threading.Condition()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def _refresh(self, subject: Subject) -> None:
        if subject in self._asking:
            return
        self._asking.add(subject)
        try:
            self._waiting.put_nowait(subject)
        except Full:
            # Too many new people at once: those who come again are asked about later.
            self._asking.discard(subject)
            return
        self._ensure_thread()

    def _wait(self, subject: Subject, wait_s: float) -> None:
        with self._answered:
            self._answered.wait_for(lambda: subject not in self._asking, wait_s)

    def _ensure_thread(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gnomon-limits", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                subject = self._waiting.get(timeout=_IDLE_S)
            except Empty:
                with self._starting:
                    if self._waiting.empty():
                        self._thread = None
                        return
                continue
            self._answer(subject)

    def _answer(self, subject: Subject) -> None:
        try:
            if self._now_s() >= self._unsupported_until_s:
                self._keep(subject, self._ask(subject))
        except Exception as error:
            self._guard.note(f"asking for a budget: {type(error).__name__}")
            self._guard.warn_once(
                "limits", "gnomon: the collector does not say who may spend: everybody may, until it does"
            )
            self._postpone(subject)
        finally:
            with self._answered:
                self._asking.discard(subject)
                self._answered.notify_all()

    def _keep(self, subject: Subject, answer: Allowance | None) -> None:
        if answer is None:
            self._unsupported_until_s = self._now_s() + _UNSUPPORTED_S
            return
        now_s = self._now_s()
        self._put(subject, _Entry(answer, now_s, now_s))
        self._guard.forget_warning("limits")

    def _put(self, subject: Subject, entry: _Entry) -> None:
        self._entries[subject] = entry
        self._entries.move_to_end(subject)
        while len(self._entries) > _MAX_SUBJECTS:
            self._entries.popitem(last=False)

    def _postpone(self, subject: Subject) -> None:
        """Do not ask again at once: the last answer, if there is one, goes on to count."""
        now_s = self._now_s()
        last = self._entries.get(subject)
        known = _Entry(_UNKNOWN, now_s, now_s) if last is None else last
        self._put(subject, _Entry(known.answer, known.answered_at_s, now_s))


_UNKNOWN: Final = Allowance()
_UNKNOWN_REFUSED: Final = Allowance(False, "no collector says whether this may be spent")


def allow(
    user: object = None,
    company: object = None,
    *,
    model: object = None,
    prompt: object = None,
    fail_open: bool = True,
    wait_s: float = 0.0,
) -> Allowance:
    """Ask whether a user or a company may still spend, by the budgets that the collector keeps.

    Budgets of the whole project and of this service are asked about as well.

    Takes microseconds and never waits for the network: answers are kept for 5 s and renewed in the
    background.

    Args:
        user: id of the user, as in `gnomon.session`.
        company: id of the company.
        model: name of the model, where models have budgets.
        prompt: name of the prompt, where prompts have budgets.
        fail_open: what counts while nobody knows: True for allowed. A collector without budgets allows.
        wait_s: how long the first question about someone may wait for the answer, in seconds.

    Returns:
        An `Allowance`: true when allowed, with reason, retry_after_s and budget when not.
    """
    with runtime.guard.harmless("allow"):
        limits = _limits()
        if limits is not None:
            return limits.allow((_id(user), _id(company), _id(model), _id(prompt)), fail_open, wait_s)
    return _UNKNOWN if fail_open else _UNKNOWN_REFUSED


def _limits() -> Limits | None:
    client = runtime.client
    if client is None:
        return None
    if client.limits is None:
        from gnomon._limits_client import asking

        client.limits = Limits(asking(client.settings), runtime.guard)
    return client.limits


def _id(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
