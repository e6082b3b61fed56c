"""`gnomon.fallback`: candidates one after the other, and a record of who answered and why others did not."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from gnomon import _values
from gnomon._errors import UsageError
from gnomon._fallback_stream import StartedStream, started, started_async
from gnomon._retries import attempt, cause_of
from gnomon._runtime import runtime
from gnomon._session import SessionScope
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

if TYPE_CHECKING:
    from gnomon._checks import Check

CANNED: Final = "canned"
_MAX_NAME_CHARS: Final = 128


class _Nothing:
    """Stands for "no canned answer", since None may be one."""


NOTHING: Final = _Nothing()


class Chain:
    """One run through the candidates; made by the ``with`` form of `fallback`.

    Attributes:
        answer: assign the answer here, inside of ``with candidate``. The canned answer when nobody answered.
        answered: name of the candidate that answered, ``canned``, or None while nobody has.
        failures: (name, cause) of those that did not.
    """

    def __init__(self, fallback: "Fallback") -> None:
        self._fallback = fallback
        self._span = SpanHandle(f"fallback {fallback.name}", "step", None)
        self.answer: Any = None
        self.answered: str | None = None
        self.failures: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator["Candidate"]:
        fallback = self._fallback
        for number, value in enumerate(fallback.candidates, 1):
            if self.answered is not None:
                return
            yield Candidate(self, value, number, is_last=number == len(fallback.candidates))

    def check(self, answer: object) -> None:
        """Raise `gnomon.CheckFailedError` when the answer fails the fallback's checks."""
        if self._fallback.checks and not isinstance(answer, StartedStream):
            from gnomon._checks import demand

            demand(answer, self._fallback.checks)

    def failed(self, candidate: "Candidate", error: BaseException) -> bool:
        """Take note of a failure; returns whether it is dealt with, and must not reach the caller."""
        self.failures.append((candidate.name, cause_of(error)))
        if not isinstance(error, self._fallback.exceptions):
            return False
        canned = self._fallback.canned
        if candidate.is_last and not isinstance(canned, _Nothing):
            self.answer, self.answered = canned, CANNED
        return self.answered is not None or not candidate.is_last

    def begin(self) -> None:
        """Start the span around all candidates."""
        self._span.start()
        self._span.resume()

    def end(self, error: BaseException | None) -> None:
        """End that span, with what happened."""
        with runtime.guard.harmless("recording a fallback"):
            self._describe()
        if error is not None:
            self._span.record_error(error)
        self._span.pause()
        self._span.end()

    def _describe(self) -> None:
        span, first = self._span, candidate_name(self._fallback.candidates[0])
        span.set_attribute(names.FALLBACK_ANSWERED, self.answered)
        span.set_attribute(names.ATTEMPT, len(self.failures) + (self.answered not in (None, CANNED)))
        if self.failures:
            span.set_attribute(names.FALLBACK_OF, first)
            span.set_attribute(names.FALLBACK_REASON, self.failures[0][1])
            span.set_attribute(names.FALLBACK_FAILURES, [f"{name}: {cause}" for name, cause in self.failures])
        if self.answer is not None and not isinstance(self.answer, StartedStream):
            span.set_output(self.answer)


class Candidate:
    """One try: a context manager inside which a failure leads on to the next candidate.

    Attributes:
        value: what was passed to `fallback`.
        number: 1 for the first.
    """

    def __init__(self, chain: Chain, value: Any, number: int, *, is_last: bool) -> None:
        self._chain = chain
        self.value = value
        self.number = number
        self.is_last = is_last
        self.name = candidate_name(value)
        self._span = SpanHandle(self.name, "step", None)
        self._scope: SessionScope | None = None

    def __enter__(self) -> Any:
        failures = self._chain.failures
        first = candidate_name(self._chain._fallback.candidates[0])
        self._scope = attempt(
            self.number, first if self.number > 1 else None, failures[-1][1] if failures else None
        )
        self._scope.__enter__()
        self._span.start()
        self._span.resume()
        return self.value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        checked = error if error is not None else self._check()
        if checked is not None:
            self._span.record_error(checked)
        self._leave()
        if checked is None:
            self._chain.answered = self.name
            return True
        dealt_with = self._chain.failed(self, checked)
        if not dealt_with and error is None:
            raise checked
        return dealt_with

    def _check(self) -> Exception | None:
        from gnomon._checks import CheckFailedError

        try:
            self._chain.check(self._chain.answer)
        except CheckFailedError as error:
            return error
        return None

    def _leave(self) -> None:
        self._span.pause()
        self._span.end()
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.__exit__(None, None, None)


class Fallback:
    """Made by `fallback`; call it, or use it in a ``with`` statement."""

    def __init__(
        self,
        candidates: Sequence[Any],
        canned: Any,
        name: str,
        exceptions: tuple[type[BaseException], ...],
        checks: "Sequence[Check]",
    ) -> None:
        self.candidates = candidates
        self.canned = canned
        self.name = name
        self.exceptions = exceptions
        self.checks = checks
        self._chains: list[Chain] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the candidates in turn with these arguments; returns the first good answer.

        A coroutine is returned when one of the candidates is a coroutine function, an async generator when
        one is such. A candidate that streams has answered when its first piece is there.
        """
        if any(map(_is_async, self.candidates)):
            return self._call_async(args, kwargs)
        if any(map(_is_async_generator, self.candidates)):
            return self._stream_async(args, kwargs)
        with _Run(self) as chain:
            for candidate in chain:
                with candidate:
                    chain.answer = started(candidate.value(*args, **kwargs))
        return chain.answer

    def __enter__(self) -> Chain:
        chain = Chain(self)
        self._chains.append(chain)
        chain.begin()
        return chain

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chains.pop().end(error)

    async def _stream_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        async for piece in await self._call_async(args, kwargs):
            yield piece

    async def _call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with _Run(self) as chain:
            for candidate in chain:
                with candidate:
                    answer = candidate.value(*args, **kwargs)
                    chain.answer = await started_async(
                        await answer if inspect.isawaitable(answer) else answer
                    )
        return chain.answer


class _Run:
    """The ``with`` form for one call: a `Fallback` that is shared between threads holds no run of its own."""

    def __init__(self, fallback: Fallback) -> None:
        self._chain = Chain(fallback)

    def __enter__(self) -> Chain:
        self._chain.begin()
        return self._chain

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chain.end(error)


def fallback(
    *candidates: Any,
    canned: Any = NOTHING,
    name: str | None = None,
    exceptions: tuple[type[BaseException], ...] = (Exception,),
    checks: "Sequence[Check]" = (),
) -> Fallback:
    """Try candidates in turn until one answers, and record which did and why the others did not.

    ``answer = gnomon.fallback(ask_big, ask_small, canned="Try again later.")(question)``, or with anything
    as candidates, model names for example::

        with gnomon.fallback("gpt-4.1", "gpt-4.1-mini") as chain:
            for candidate in chain:
                with candidate as model:
                    chain.answer = ask(model, question)

    Args:
        candidates: functions or coroutine functions of the same arguments; or any values.
        canned: answer when every candidate failed. Without one the last failure is raised.
        name: of the span around all; that of the first candidate by default.
        exceptions: which of them lead on to the next candidate; others are raised at once.
        checks: of `gnomon.checks`; an answer that fails one leads on to the next candidate.

    Raises:
        ValueError: there is no candidate.
    """
    if not candidates:
        raise ValueError("gnomon.fallback needs at least one candidate")
    return Fallback(candidates, canned, name or candidate_name(candidates[0]), exceptions, tuple(checks))


def candidate_name(value: object) -> str:
    """Return what a candidate is called: the text itself, a function's name, or the name of its class."""
    if isinstance(value, str):
        return _values.clip(value, _MAX_NAME_CHARS)
    inner: Callable[..., Any] | object = getattr(value, "func", value)
    name = getattr(inner, "__qualname__", None) or getattr(value, "name", None) or type(value).__name__
    return _values.clip(_values.safe_str(name).replace("<locals>.", ""), _MAX_NAME_CHARS)


def _is_async(candidate: object) -> bool:
    inner = getattr(candidate, "func", candidate)
    method = getattr(type(inner), "__call__", None)  # noqa: B004 - an object may be called like a coroutine
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(method)


def _is_async_generator(candidate: object) -> bool:
    return inspect.isasyncgenfunction(getattr(candidate, "func", candidate))


def observe_fallbacks(runnable: Any) -> Any:
    """Make LangChain's ``primary.with_fallbacks([…])`` visible as `fallback` is; what it does stays the same.

    ``invoke``, ``ainvoke``, ``stream`` and ``astream`` are recorded; ``batch`` runs unrecorded.

    Args:
        runnable: what ``with_fallbacks`` returned.
    """
    with runtime.guard.harmless("observe_fallbacks"):
        if not (hasattr(runnable, "fallbacks") and hasattr(runnable, "exceptions_to_handle")):
            raise UsageError("gnomon.observe_fallbacks takes what LangChain's with_fallbacks returned")
        from gnomon._fallback_langchain import observed

        return observed(runnable, _runnable_name)
    return runnable


def _runnable_name(runnable: Any) -> str:
    for holder in (runnable, getattr(runnable, "bound", None)):
        for field in ("model_name", "model", "name"):
            name = getattr(holder, field, None)
            if isinstance(name, str) and name:
                return _values.clip(name, _MAX_NAME_CHARS)
    return type(runnable).__name__
