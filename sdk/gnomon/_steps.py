"""`gnomon.tool` and `gnomon.agent`: steps with a name of their own in the GenAI conventions."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar, overload

from gnomon._observe import observe
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

F = TypeVar("F", bound=Callable[..., Any])


class Step:
    """A decorator and a context manager in one, made by `tool` and `agent`."""

    def __init__(self, name: str | None, kind: str, attributes: Mapping[str, object], name_key: str) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._name_key = name_key
        self._entered: list[SpanHandle] = []

    def __call__(self, function: F) -> F:
        """Record every call of ``function``."""
        name = self._name or str(getattr(function, "__name__", self._kind))
        observed: F = observe(name=name, kind=self._kind, attributes=self._with_name(name))(function)
        return observed

    def __enter__(self) -> SpanHandle:
        name = self._name or self._kind
        handle = SpanHandle(name, self._kind, self._with_name(name))
        self._entered.append(handle)
        return handle.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)

    def _with_name(self, name: str) -> dict[str, object]:
        return {**self._attributes, self._name_key: name}


@overload
def tool(name: F, /) -> F: ...


@overload
def tool(name: str | None = None, /) -> Step: ...


def tool(name: Any = None, /) -> Any:
    """Record a tool: ``@gnomon.tool``, ``@gnomon.tool("name")`` or ``with gnomon.tool("name")``.

    As a decorator it records arguments and result as `gnomon.observe` does; as a context manager it yields
    the span, for ``set_input`` and ``set_output``.

    Args:
        name: name of the tool; the function's name when left out.
    """
    return _step(name, "tool", {names.OPERATION_NAME: "execute_tool"}, names.TOOL_NAME)


@overload
def agent(name: F, /) -> F: ...


@overload
def agent(name: str | None = None, /) -> Step: ...


def agent(name: Any = None, /) -> Any:
    """Record an agent: ``@gnomon.agent``, ``@gnomon.agent("name")`` or ``with gnomon.agent("name")``.

    Args:
        name: name of the agent; the function's name when left out.
    """
    return _step(name, "agent", {names.OPERATION_NAME: "invoke_agent"}, names.AGENT_NAME)


def _step(name: Any, kind: str, attributes: Mapping[str, object], name_key: str) -> Any:
    if callable(name) and not isinstance(name, str):
        return Step(None, kind, attributes, name_key)(name)
    return Step(name, kind, attributes, name_key)
