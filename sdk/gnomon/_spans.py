"""Which finished spans belong to Gnomon, and how much memory one holds: asked on the caller's thread."""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from gnomon._call_span import CallSpan, attributes_of
from gnomon._plain_messages import PlainMessages
from gnomon_schemas import attributes as names

_PREFIXES: Final = (
    "gen_ai.",
    "gnomon.",
    "llm.",
    "openinference.",
    "traceloop.",
    "ai.",
    "langfuse.",
    "langsmith.",
    "mlflow.",
    "pydantic_ai.",
    "anthropic.",
)
_SCOPES: Final = (
    "gnomon",
    "opentelemetry.instrumentation.genai",
    "opentelemetry.util.genai",
    "opentelemetry.instrumentation.openai",
    "opentelemetry.instrumentation.anthropic",
    "opentelemetry.instrumentation.langchain",
    "openinference.",
    "traceloop.",
    "langfuse",
    "langsmith",
    "mlflow.tracing",
    "pydantic-ai",
    "openlit",
    "com.anthropic",
    "logfire.openai",
    "logfire.anthropic",
)
# A session stamps these on every span inside it, HTTP spans too: they say nothing about the span.
_STAMPED: Final = frozenset(
    {names.CONVERSATION_ID, names.COMPANY_ID, names.TAGS}
    | {names.PROMPT_NAME, names.PROMPT_VERSION, names.PROMPT_TEMPLATE}
    | {names.ATTEMPT, names.FALLBACK_OF, names.FALLBACK_REASON}
)
_STAMPED_PREFIXES: Final = (names.METADATA_PREFIX, names.PROMPT_VARIABLE_PREFIX)
_SPAN_BYTES: Final = 3_000
"""What an empty span of the OpenTelemetry SDK holds in memory: contexts, locks, containers."""
_VALUE_BYTES: Final = 120
_EVENT_BYTES: Final = 800


def is_genai(span: ReadableSpan) -> bool:
    """Whether the span is about LLM work, by its attributes or by who made it."""
    if type(span) is CallSpan:
        return True
    attributes = span.attributes or {}
    if any(_says_genai(key) for key in attributes):
        return True
    scope = span.instrumentation_scope
    return scope is not None and (scope.name in ("ai", "gen_ai") or scope.name.startswith(_SCOPES))


def _says_genai(key: str) -> bool:
    return key.startswith(_PREFIXES) and key not in _STAMPED and not key.startswith(_STAMPED_PREFIXES)


def estimate_bytes(span: ReadableSpan) -> int:
    """Estimate the memory a finished span holds, in bytes, without encoding it."""
    size = _SPAN_BYTES + _attributes_bytes(attributes_of(span))
    for event in span.events:
        size += _EVENT_BYTES + _attributes_bytes(event.attributes)
    return size + _EVENT_BYTES * len(span.links)


def _attributes_bytes(attributes: Mapping[str, object] | None) -> int:
    if not attributes:
        return 0
    # OpenTelemetry's attributes take a lock for each value that is read, a copy takes it once.
    size = _VALUE_BYTES * len(attributes)
    for value in copied(attributes).values():
        kind = type(value)
        if kind is str or kind is PlainMessages:
            # What a text takes in memory is two or four bytes a character outside Latin-1: it knows.
            size += value.__sizeof__()
        elif kind is not int and kind is not float and kind is not bool:
            size += _value_bytes(value)
    return size


def copied(attributes: Mapping[str, object]) -> Mapping[str, object]:
    """Return a plain copy of a span's attributes."""
    copy = getattr(attributes, "copy", None)
    return copy() if copy is not None else dict(attributes)


def _value_bytes(value: object) -> int:
    if isinstance(value, str):
        return _VALUE_BYTES + sys.getsizeof(value)
    if isinstance(value, bytes):
        return _VALUE_BYTES + len(value)
    if isinstance(value, Mapping):
        return _VALUE_BYTES * (1 + len(value)) + sum(map(_value_bytes, value.values()))
    if isinstance(value, Sequence):
        return _VALUE_BYTES + sum(map(_value_bytes, value))
    return _VALUE_BYTES
