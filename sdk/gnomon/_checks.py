"""`gnomon.check` and `gnomon.guard`: answers checked, the outcome recorded as scores on the call."""

import functools
import inspect
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import trace

from gnomon import _values
from gnomon._checks_target import aside, target
from gnomon._checks_types import Check, CheckFailedError, CheckResult, Outcome, Verdict
from gnomon._errors import UsageError
from gnomon._fallback import CANNED, NOTHING, candidate_name
from gnomon._feedback import _hex
from gnomon._retries import attempt, begin_retry
from gnomon._runtime import runtime
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

__all__ = ["Check", "CheckFailedError", "CheckResult", "acheck", "check", "demand", "guard"]
_MAX_TEXT_CHARS: Final = 1_000_000
_MAX_DETAIL_CHARS: Final = 1_000


def check(
    answer: object, *checks: Check, trace_id: str | int | None = None, span_id: str | int | None = None
) -> CheckResult:
    """Check an answer and record each outcome as a score of source ``check``. Never raises.

    Without ids the scores are about the model call that ended last in this trace, else about the current
    span.

    Args:
        answer: text, or an answer of openai, LangChain and the like, or anything JSON can show.
        checks: of `gnomon.checks`.
        trace_id: trace checked, as 32 hex digits or a number.
        span_id: span checked, as 16 hex digits or a number.

    Returns:
        The outcomes; true when none failed. A check that could not be run has not failed.
    """
    text, ids = text_of(answer), _ids(trace_id, span_id)
    with aside():
        result = CheckResult(
            tuple(_outcome(made, functools.partial(_run_now, made), text) for made in checks)
        )
    record(result, checks, ids)
    return result


async def acheck(
    answer: object, *checks: Check, trace_id: str | int | None = None, span_id: str | int | None = None
) -> CheckResult:
    """Like `check`, and waits for checks that are coroutine functions."""
    text, ids = text_of(answer), _ids(trace_id, span_id)
    with aside():
        result = CheckResult(tuple([await _outcome_later(made, text) for made in checks]))
    record(result, checks, ids)
    return result


def demand(answer: object, checks: Sequence[Check]) -> None:
    """Check, and raise `CheckFailedError` when a check failed."""
    result = check(answer, *checks)
    if not result:
        raise CheckFailedError(result, answer)


def text_of(answer: object) -> str:
    """Return the text of an answer, whichever library it comes from."""
    with runtime.guard.harmless("reading an answer"):
        content = _content(answer)
        return _values.to_text(content, _MAX_TEXT_CHARS) if content is not None else ""
    return ""


def _content(answer: Any) -> object:
    if answer is None or isinstance(answer, str | bytes | dict | list | tuple | int | float):
        return answer
    choices = getattr(answer, "choices", None)
    if isinstance(choices, list) and choices:
        return getattr(getattr(choices[0], "message", None), "content", None) or ""
    for name in ("output_text", "content", "text"):
        content = getattr(answer, name, None)
        if isinstance(content, str):
            return content
    parts = getattr(answer, "content", None)
    if isinstance(parts, list):
        return "".join(getattr(part, "text", None) or "" for part in parts)
    return answer


def _run_now(made: Check, text: str) -> Verdict:
    said = made.run(text)
    if isinstance(said, Verdict):
        return said
    close = getattr(said, "close", None)
    if close is not None:
        close()
    raise UsageError(f"the check {made.name!r} must be awaited: use gnomon.acheck")


def _outcome(made: Check, run: Callable[[str], Verdict], text: str) -> Outcome:
    verdict = Verdict(None, "the check could not be run")
    with runtime.guard.harmless(f"the check {made.name}"):
        verdict = run(text)
    return Outcome(made.name, verdict.passed, verdict.detail, verdict.value)


async def _outcome_later(made: Check, text: str) -> Outcome:
    verdict = Verdict(None, "the check could not be run")
    with runtime.guard.harmless(f"the check {made.name}"):
        said = made.run(text)
        verdict = said if isinstance(said, Verdict) else await said
    return Outcome(made.name, verdict.passed, verdict.detail, verdict.value)


@dataclass(frozen=True, slots=True)
class Ids:
    """What the scores are about."""

    trace_id: str | None
    span_id: str | None


def _ids(trace_id: str | int | None, span_id: str | int | None) -> Ids:
    with runtime.guard.harmless("check"):
        if trace_id is not None:
            return Ids(_hex(trace_id, 32), _hex(span_id, 16))
        context = target()
        if context is not None:
            return Ids(trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id))
    return Ids(None, None)


def current_ids() -> Ids:
    """Return what a check made here is about."""
    return _ids(None, None)


def record(result: CheckResult, checks: Iterable[Check], ids: Ids) -> None:
    """Send the outcomes as scores."""
    client = runtime.client
    if client is None or not result.outcomes:
        return
    with runtime.guard.harmless("recording checks"):
        if ids.trace_id is None:
            client.sink.drop("no_target")
            return
        for outcome, made in zip(result.outcomes, checks, strict=True):
            client.sink.put_score(_score(outcome, made.author, ids))
        if result.failed:
            current = trace.get_current_span()
            current.set_attribute(names.CHECKS_FAILED, list(result.failed))


def _score(outcome: Outcome, author: str, ids: Ids) -> dict[str, object]:
    label = {True: "pass", False: "fail", None: "not_run"}[outcome.passed]
    value = (
        outcome.value if outcome.value is not None else {True: 1.0, False: 0.0, None: None}[outcome.passed]
    )
    return {
        "score_id": str(uuid.uuid4()),
        "trace_id": ids.trace_id,
        "span_id": ids.span_id,
        "session_id": None,
        "name": _values.clip(outcome.name, 200),
        "value": value,
        "label": label,
        "comment": _values.clip(outcome.detail, _MAX_DETAIL_CHARS) or None,
        "source": "check",
        "author": author,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def guard(
    *checks: Check, attempts: int = 1, fallback: Any = NOTHING, name: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a function's answer pass only when it passes the checks.

    ``@gnomon.guard(checks.json(), attempts=2, fallback="{}")``. Works on functions and coroutine functions.
    Generators are watched as `gnomon.check_stream` does, and end with the error; they are not repeated.

    Args:
        checks: of `gnomon.checks`.
        attempts: how often the function is called until an answer passes.
        fallback: the answer when none did: a value, or a function of the same arguments.
        name: of the span; the function's name by default.

    Raises:
        CheckFailedError: the decorated function does so when no answer passed and there is no fallback.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        guarded = _Guarded(
            function, checks, max(int(attempts), 1), fallback, name or candidate_name(function)
        )
        if inspect.iscoroutinefunction(function):
            return functools.wraps(function)(_async_call(guarded))
        streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        return functools.wraps(function)(_call(guarded.stream if streams else guarded.call))

    return decorate


# Plain functions: a bound method would not become one when it is decorated inside of a class.
def _call(guarded: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return guarded(*args, **kwargs)

    return call


def _async_call(guarded: "_Guarded") -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await guarded.call_async(*args, **kwargs)

    return call


class _Guarded:
    """A function, its checks, and what happens when they fail."""

    def __init__(
        self, function: Callable[..., Any], checks: Sequence[Check], attempts: int, fallback: Any, name: str
    ) -> None:
        self._function = function
        self._checks = checks
        self._attempts = attempts
        self._fallback = fallback
        self._name = name

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call until an answer passes."""
        with SpanHandle(f"guard {self._name}", "guardrail", None) as span:
            for number in range(1, self._attempts + 1):
                with attempt(number):
                    answer = self._function(*args, **kwargs)
                    result = check(answer, *self._checks)
                if self._is_good(span, number, result):
                    return answer
            return self._instead(span, result, answer, args, kwargs)

    async def call_async(self, *args: Any, **kwargs: Any) -> Any:
        """Call and await until an answer passes."""
        with SpanHandle(f"guard {self._name}", "guardrail", None) as span:
            for number in range(1, self._attempts + 1):
                with attempt(number):
                    answer = await self._function(*args, **kwargs)
                    result = await acheck(answer, *self._checks)
                if self._is_good(span, number, result):
                    return answer
            instead = self._instead(span, result, answer, args, kwargs)
            return await instead if isinstance(instead, Awaitable) else instead

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        """Watch what a generator yields."""
        from gnomon._checks_stream import check_stream

        return check_stream(self._function(*args, **kwargs), *self._checks, on_fail="raise")

    def _is_good(self, span: SpanHandle, number: int, result: CheckResult) -> bool:
        span.set_attribute(names.ATTEMPT, number)
        if result:
            return True
        span.set_attribute(names.CHECKS_FAILED, list(result.failed))
        if number < self._attempts:
            begin_retry(number, CheckFailedError(result), 0.0).end()
        return False

    def _instead(
        self,
        span: SpanHandle,
        result: CheckResult,
        answer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        error = CheckFailedError(result, answer)
        if self._fallback is NOTHING:
            raise error
        span.set_attribute(names.FALLBACK_OF, self._name)
        span.set_attribute(names.FALLBACK_REASON, error.cause)
        is_function = callable(self._fallback)
        span.set_attribute(names.FALLBACK_ANSWERED, candidate_name(self._fallback) if is_function else CANNED)
        return self._fallback(*args, **kwargs) if is_function else self._fallback
