"""LangChain's ``with_fallbacks``: each candidate says which try it is and why the one before failed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.fallbacks import RunnableWithFallbacks

from gnomon._fallback import NOTHING, Candidate, Chain, Fallback

_CHAIN: Final[ContextVar[Chain | None]] = ContextVar("gnomon.langchain.chain", default=None)
_END: Final = object()


class _Watched:
    """Runs the runnable it is mixed into inside of a `_watching` of its own.

    Streams are watched until the first piece: that is where the call is made, and a candidate chosen.
    """

    def _watching(self) -> "_Run | _Try":
        raise NotImplementedError

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """LangChain's own, recorded."""
        own: Any = super()
        with self._watching() as answered:
            return answered(own.invoke(input, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """LangChain's own, recorded."""
        own: Any = super()
        with self._watching() as answered:
            return answered(await own.ainvoke(input, config, **kwargs))

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """LangChain's own, recorded until the first piece."""
        own: Any = super()
        pieces = own.stream(input, config, **kwargs)
        with self._watching():
            first = next(pieces, _END)
        if first is not _END:
            yield first
            yield from pieces

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """LangChain's own, recorded until the first piece."""
        own: Any = super()
        pieces = own.astream(input, config, **kwargs)
        with self._watching():
            first = await anext(pieces, _END)
        if first is not _END:
            yield first
            async for piece in pieces:
                yield piece


class ObservedFallbacks(_Watched, RunnableWithFallbacks[Any, Any]):
    """Made by `gnomon.observe_fallbacks`: runs as LangChain's own does."""

    title: str

    def _watching(self) -> "_Run":
        return _Run(self)


class ObservedCandidate(_Watched, RunnableBindingBase[Any, Any]):
    """One candidate of an `ObservedFallbacks`; each use of it is one try."""

    number: int
    title: str

    def _watching(self) -> "_Try":
        return _Try(self)


class _Run:
    """The span around all candidates, while LangChain tries them."""

    def __init__(self, runnable: ObservedFallbacks) -> None:
        titles = [getattr(candidate, "title", "") for candidate in runnable.runnables]
        self._chain = Chain(Fallback(titles, NOTHING, runnable.title, (), ()))

    def __enter__(self) -> Callable[[Any], Any]:
        self._chain.begin()
        self._token = _CHAIN.set(self._chain)
        return self._answered

    def _answered(self, answer: Any) -> Any:
        self._chain.answer = answer
        return answer

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            _CHAIN.reset(self._token)
        except ValueError:
            _CHAIN.set(None)  # a generator that is closed in another context than it was started in
        self._chain.end(error)


class _Try:
    """One try inside of a run; the failure goes on to LangChain, which decides."""

    def __init__(self, candidate: ObservedCandidate) -> None:
        chain = _CHAIN.get()
        self._candidate = (
            None if chain is None else Candidate(chain, candidate.title, candidate.number, is_last=False)
        )

    def __enter__(self) -> Callable[[Any], Any]:
        if self._candidate is not None:
            self._candidate.__enter__()
        return lambda answer: answer

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._candidate is not None:
            self._candidate.__exit__(kind, error, trace)


def observed(runnable: Any, name_of: Callable[[Any], str]) -> ObservedFallbacks:
    """Return a runnable that does what ``runnable`` does, recorded.

    Args:
        runnable: what ``with_fallbacks`` returned.
        name_of: gives a candidate's name.
    """
    candidates = [
        ObservedCandidate(bound=candidate, number=number, title=name_of(candidate))
        for number, candidate in enumerate(runnable.runnables, 1)
    ]
    return ObservedFallbacks(
        runnable=candidates[0],
        fallbacks=candidates[1:],
        exceptions_to_handle=runnable.exceptions_to_handle,
        exception_key=runnable.exception_key,
        title=candidates[0].title,
    )
