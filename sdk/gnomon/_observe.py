"""`gnomon.observe`: record calls of a function, whichever of the four kinds of function it is."""

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Final, TypeVar, overload

from gnomon._runtime import runtime
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

F = TypeVar("F", bound=Callable[..., Any])
_MAX_YIELDED: Final = 1_000


@overload
def observe(function: F, /) -> F: ...


@overload
def observe(
    *,
    name: str | None = None,
    kind: str = "step",
    capture_input: bool = True,
    capture_output: bool = True,
    attributes: Mapping[str, object] | None = None,
) -> Callable[[F], F]: ...


def observe(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    kind: str = "step",
    capture_input: bool = True,
    capture_output: bool = True,
    attributes: Mapping[str, object] | None = None,
) -> Any:
    """Record every call of a function as a span, with its arguments and its result.

    Works with and without parentheses, on functions, coroutine functions, generators and async
    generators, on methods, static and class methods. What generators yield passes through at once.

    Args:
        function: the function, when used without parentheses.
        name: span name; the function's qualified name by default.
        kind: one of `gnomon_schemas.attributes.SPAN_KINDS`.
        capture_input: whether arguments are recorded (``self`` and ``cls`` never are).
        capture_output: whether the result, or what was yielded, is recorded.
        attributes: further attributes of every span.
    """

    def decorate(target: Callable[..., Any]) -> Any:
        if isinstance(target, staticmethod | classmethod):
            return type(target)(decorate(target.__func__))
        return _wrap(target, _Observation(target, name, kind, capture_input, capture_output, attributes))

    return decorate if function is None else decorate(function)


class _Observation:
    """What is recorded about the calls of one function."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None,
        kind: str,
        capture_input: bool,
        capture_output: bool,
        attributes: Mapping[str, object] | None,
    ) -> None:
        self._name = name or str(getattr(function, "__qualname__", type(function).__name__)).replace(
            "<locals>.", ""
        )
        self.kind = kind
        self._capture_input = capture_input
        self._capture_output = capture_output
        self._attributes = attributes
        self._signature = _signature(function)

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> SpanHandle:
        """Start a span with the arguments; it is not current yet."""
        handle = SpanHandle(self._name, self.kind, self._attributes)
        handle.start()
        if self._capture_input and handle.recording:
            with runtime.guard.harmless("capturing arguments"):
                handle.set_input(self._arguments(args, kwargs))
        return handle

    def finish(self, handle: SpanHandle, result: object) -> None:
        """Note the result."""
        if self._capture_output and result is not None:
            handle.set_output(result)

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self._signature is None:
            return {"args": args, **kwargs}
        try:
            bound = dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError:
            # The call itself is about to fail with the same complaint, to the host's face.
            return {"args": args, **kwargs}
        return {key: value for key, value in bound.items() if key not in ("self", "cls")}


class _Yielded:
    """What a generator yielded, within bounds, and when the first of it came."""

    def __init__(self, observation: _Observation, handle: SpanHandle) -> None:
        self._observation = observation
        self._handle = handle
        self._started_s = time.perf_counter()
        self._items: list[Any] = []
        self._count = 0

    def add(self, item: object) -> None:
        """Take note of an item on its way to the consumer."""
        self._count += 1
        if self._count == 1 and self._observation.kind == "generation":
            self._handle.set_attribute(names.TIME_TO_FIRST_CHUNK_S, time.perf_counter() - self._started_s)
        if self._count <= _MAX_YIELDED:
            self._items.append(item)

    def finish(self) -> None:
        """Record what was collected: text when only text was yielded, else a list."""
        items = self._items
        if items and all(isinstance(item, str) for item in items):
            self._observation.finish(self._handle, "".join(items))
        elif items:
            self._observation.finish(self._handle, items)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


def _wrap(function: Callable[..., Any], observation: _Observation) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return _wrap_async_generator(function, observation)
    if inspect.isgeneratorfunction(function):
        return _wrap_generator(function, observation)
    if inspect.iscoroutinefunction(function):
        return _wrap_coroutine(function, observation)
    return _wrap_function(function, observation)


def _wrap_function(function: Callable[..., Any], observation: _Observation) -> Callable[..., Any]:
    @functools.wraps(function)
    def observed(*args: Any, **kwargs: Any) -> Any:
        handle = observation.begin(args, kwargs)
        handle.resume()
        try:
            result = function(*args, **kwargs)
            observation.finish(handle, result)
            return result
        except BaseException as error:
            handle.record_error(error)
            raise
        finally:
            handle.pause()
            handle.end()

    return observed


def _wrap_coroutine(function: Callable[..., Any], observation: _Observation) -> Callable[..., Any]:
    @functools.wraps(function)
    async def observed(*args: Any, **kwargs: Any) -> Any:
        handle = observation.begin(args, kwargs)
        handle.resume()
        try:
            result = await function(*args, **kwargs)
            observation.finish(handle, result)
            return result
        except BaseException as error:
            handle.record_error(error)
            raise
        finally:
            handle.pause()
            handle.end()

    return observed


def _wrap_generator(function: Callable[..., Any], observation: _Observation) -> Callable[..., Any]:
    @functools.wraps(function)
    def observed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        handle = observation.begin(args, kwargs)
        yielded = _Yielded(observation, handle)
        try:
            return (yield from _Steps(function(*args, **kwargs), handle, yielded))
        except BaseException as error:
            handle.record_error(error)
            raise
        finally:
            yielded.finish()
            handle.end()

    return observed


class _Steps(Generator[Any, Any, Any]):
    """A generator around another that makes the span current only while that one runs.

    Between two items the consumer runs; its own spans must not become children of this one.
    """

    def __init__(self, inner: Generator[Any, Any, Any], handle: SpanHandle, yielded: _Yielded) -> None:
        self._inner = inner
        self._handle = handle
        self._yielded = yielded

    def send(self, value: Any) -> Any:
        """Run the inner generator to its next item."""
        return self._step(self._inner.send, value)

    def throw(self, error: Any, value: Any = None, trace: Any = None, /) -> Any:
        """Raise inside the inner generator."""
        return self._step(self._inner.throw, error if value is None else value)

    def close(self) -> None:
        """Close the inner generator."""
        self._handle.resume()
        try:
            self._inner.close()
        finally:
            self._handle.pause()

    def _step(self, advance: Callable[[Any], Any], value: Any) -> Any:
        self._handle.resume()
        try:
            item = advance(value)
        finally:
            self._handle.pause()
        self._yielded.add(item)
        return item


def _wrap_async_generator(function: Callable[..., Any], observation: _Observation) -> Callable[..., Any]:
    @functools.wraps(function)
    async def observed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        handle = observation.begin(args, kwargs)
        yielded = _Yielded(observation, handle)
        inner = function(*args, **kwargs)
        advance: Callable[[Any], Any] = inner.asend
        value: Any = None
        try:
            while True:
                handle.resume()
                try:
                    item = await advance(value)
                except StopAsyncIteration:
                    return
                finally:
                    handle.pause()
                yielded.add(item)
                try:
                    advance, value = inner.asend, (yield item)
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as thrown:
                    advance, value = inner.athrow, thrown
        except BaseException as error:
            handle.record_error(error)
            raise
        finally:
            yielded.finish()
            handle.end()

    return observed
