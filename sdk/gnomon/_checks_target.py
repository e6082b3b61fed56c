"""Which call a check is about: the model call that ended last, here and in this trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from gnomon._call_span import attributes_of
from gnomon_schemas import attributes as names

_CALL_OPERATIONS: Final = frozenset(
    {"chat", "text_completion", "generate_content", "responses", "completion", "message", "invoke_model"}
)
_CALL_KINDS: Final = (
    (names.KIND, "generation"),
    ("openinference.span.kind", "LLM"),
    ("llm.request.type", "chat"),
)


class LastCall(NamedTuple):
    """A model call that has ended: where it stands in its trace, and what it used."""

    context: trace.SpanContext
    is_root: bool
    model: str
    input_tokens: int | None
    output_tokens: int | None


_LAST: Final[ContextVar[LastCall | None]] = ContextVar("gnomon.last_call", default=None)
"""Follows the flow of the program as OpenTelemetry's context does, but is not undone when a span ends."""


def note_call(span: ReadableSpan) -> None:
    """Remember a span that has ended, if it is a model call."""
    get, context = attributes_of(span).get, span.context
    is_call = get(names.OPERATION_NAME) in _CALL_OPERATIONS or any(
        get(key) == value for key, value in _CALL_KINDS
    )
    if is_call and context is not None:
        model = get(names.RESPONSE_MODEL) or get(names.REQUEST_MODEL) or ""
        given, made = get(names.INPUT_TOKENS), get(names.OUTPUT_TOKENS)
        given, made = given if type(given) is int else None, made if type(made) is int else None
        _LAST.set(LastCall(context, span.parent is None, str(model), given, made))


@contextmanager
def aside() -> Iterator[None]:
    """Calls made inside the block, such as those of a judge, are not the ones that are checked next."""
    last = _LAST.get()
    try:
        yield
    finally:
        _LAST.set(last)


def last_call() -> LastCall | None:
    """Return the model call that ended last before this point; None when there is none in this trace."""
    last = _LAST.get()
    current = trace.get_current_span().get_span_context()
    if last is None:
        return None
    if current.is_valid:
        return last if last.context.trace_id == current.trace_id else None
    # Outside of any span only a call that was one too is meant; others belong to something that is over.
    return last if last.is_root else None


def target() -> trace.SpanContext | None:
    """Return what a check without ids is about: the last call, else the current span."""
    last = last_call()
    if last is not None:
        return last.context
    current = trace.get_current_span().get_span_context()
    return current if current.is_valid else None
