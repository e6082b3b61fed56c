"""Attempts: which try a call belongs to, why the one before failed, and how long the wait was.

A retry shows as a span of kind ``event`` named ``retry`` that lasts as long as the wait, and the calls of
the n-th try carry ``gnomon.attempt = n``.
"""

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from gnomon import _values
from gnomon._errors import UsageError
from gnomon._runtime import runtime
from gnomon._session import SessionScope
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

P = ParamSpec("P")
R = TypeVar("R")
_MAX_CAUSE_CHARS: Final = 128


def attempt(number: int, of: str | None = None, reason: object = None) -> SessionScope:
    """Say which try the calls inside the ``with`` block belong to, in a retry loop of your own.

    Args:
        number: 1 for the first try.
        of: name of what this try stands in for, when it is another model or another prompt.
        reason: why the try before failed: an exception, or words.
    """
    attributes: dict[str, _values.Attribute] = {}
    with runtime.guard.harmless("attempt"):
        attributes[names.ATTEMPT] = int(number)
        if of is not None:
            attributes[names.FALLBACK_OF] = _values.clip(_values.safe_str(of), _MAX_CAUSE_CHARS)
        if reason is not None:
            attributes[names.FALLBACK_REASON] = cause_of(reason)
    return SessionScope(attributes)


def cause_of(reason: object) -> str:
    """Return why something failed, in one word that charts can group by.

    ``http_<status>`` where a status is known, ``timeout``, ``connection``, else the exception's class.
    """
    if not isinstance(reason, BaseException):
        return _values.clip(_values.safe_str(reason), _MAX_CAUSE_CHARS)
    kind = type(reason).__name__
    try:
        return _cause_of_exception(reason, kind)
    except Exception:
        # Attributes of a foreign exception may be properties that raise.
        return kind


def _cause_of_exception(reason: BaseException, kind: str) -> str:
    status = _status_of(reason)
    if status:
        return f"http_{status}"
    if isinstance(reason, TimeoutError) or "Timeout" in kind:
        return "timeout"
    if isinstance(reason, ConnectionError) or "Connect" in kind:
        return "connection"
    cause = getattr(reason, "cause", "")
    return cause if isinstance(cause, str) and cause else kind


def _status_of(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for holder in (error, response):
        status = getattr(holder, "status_code", None) or getattr(holder, "status", None)
        if type(status) is int and 100 <= status <= 599:
            return status
    return None


def begin_retry(failed_attempt: int, cause: object, wait_s: float | None = None) -> SpanHandle:
    """Start the span of a wait before the next try; the caller ends it after the wait.

    Args:
        failed_attempt: number of the try that failed, 1 for the first.
        cause: why it failed: an exception, or a word as `cause_of` gives.
        wait_s: how long the wait will be, where that is known beforehand.
    """
    handle = SpanHandle("retry", "event", None)
    handle.start()
    handle.set_attribute(names.ATTEMPT, failed_attempt)
    with runtime.guard.harmless("recording a retry"):
        handle.set_attribute(names.RETRY_CAUSE, cause_of(cause))
    handle.set_attribute(names.RETRY_WAIT_S, None if wait_s is None else float(wait_s))
    return handle


def retrying(function: Callable[P, R]) -> Callable[P, R]:
    """Make the tries of a function that tenacity retries visible: put it above ``@retry(…)``.

    Works on functions and coroutine functions. What tenacity does is not changed.

    Args:
        function: one that ``tenacity.retry`` decorated.
    """
    controller = getattr(function, "retry", None)
    inner = getattr(function, "__wrapped__", None)
    if not hasattr(controller, "copy") or not callable(inner):
        with runtime.guard.harmless("retrying"):
            raise UsageError("gnomon.retrying goes above @tenacity.retry(…); other loops use gnomon.attempt")
        return function
    make = _retry_async if inspect.iscoroutinefunction(inner) else _retry_sync
    return functools.wraps(function)(make(controller, inner))


def _retry_sync(controller: Any, inner: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        numbers = itertools.count(1)

        def one_try(*args: Any, **kwargs: Any) -> Any:
            with attempt(next(numbers)):
                return inner(*args, **kwargs)

        return _watched(controller)(one_try, *args, **kwargs)

    return call


def _retry_async(controller: Any, inner: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        numbers = itertools.count(1)

        async def one_try(*args: Any, **kwargs: Any) -> Any:
            with attempt(next(numbers)):
                return await inner(*args, **kwargs)

        return await _watched(controller)(one_try, *args, **kwargs)

    return call


def _watched(controller: Any) -> Any:
    """A copy of a tenacity controller whose waits are spans; each call needs its own."""
    waits = _Waits()
    sleep = controller.sleep
    return controller.copy(
        before_sleep=_after(controller.before_sleep, waits.expect),
        sleep=waits.around_async(sleep) if inspect.iscoroutinefunction(sleep) else waits.around(sleep),
    )


def _after(first: Callable[[Any], Any] | None, then: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Both callbacks, in that order; whatever the host's own returns (a coroutine, perhaps) is passed on."""

    def both(state: Any) -> Any:
        then(state)
        return first(state) if first is not None else None

    async def both_async(state: Any) -> None:
        then(state)
        if first is not None:
            await first(state)

    return both_async if inspect.iscoroutinefunction(first) else both


class _Waits:
    """What tenacity says before it sleeps, until it has slept."""

    def __init__(self) -> None:
        self._failed_attempt = 1
        self._cause: object = "result"

    def expect(self, state: Any) -> None:
        """Take note of which try failed and why (``before_sleep``)."""
        with runtime.guard.harmless("recording a retry"):
            self._failed_attempt = state.attempt_number
            outcome = state.outcome
            self._cause = outcome.exception() if outcome is not None and outcome.failed else "result"

    def around(self, sleep: Callable[[float], Any]) -> Callable[[float], Any]:
        """Return ``sleep`` with a span around it."""

        def slept(seconds: float) -> Any:
            handle = begin_retry(self._failed_attempt, self._cause, seconds)
            try:
                return sleep(seconds)
            finally:
                handle.end()

        return slept

    def around_async(self, sleep: Callable[[float], Any]) -> Callable[[float], Any]:
        """Return the coroutine function ``sleep`` with a span around it."""

        async def slept(seconds: float) -> Any:
            handle = begin_retry(self._failed_attempt, self._cause, seconds)
            try:
                return await sleep(seconds)
            finally:
                handle.end()

        return slept
