"""Which finished spans belong to Gnomon, and how much memory one holds: asked on the caller's thread."""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

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
    {names.CONVERSATION_ID, names.PROMPT_NAME, names.PROMPT_VERSION, names.COMPANY_ID, names.TAGS}
)
_SPAN_BYTES: Final = 3_000
"""What an empty span of the OpenTelemetry SDK holds in memory: contexts, locks, containers."""
_VALUE_BYTES: Final = 120
_EVENT_BYTES: Final = 800


def is_genai(span: ReadableSpan) -> bool:
    """Whether the span is about LLM work, by its attributes or by who made it."""
    attributes = span.attributes or {}
    if any(_says_genai(key) for key in attributes):
        return True
    scope = span.instrumentation_scope
    return scope is not None and (scope.name in ("ai", "gen_ai") or scope.name.startswith(_SCOPES))


def _says_genai(key: str) -> bool:
    return key.startswith(_PREFIXES) and key not in _STAMPED and not key.startswith(names.METADATA_PREFIX)


def estimate_bytes(span: ReadableSpan) -> int:
    """Estimate the memory a finished span holds, in bytes, without encoding it."""
    size = _SPAN_BYTES + sum(map(_value_bytes, (span.attributes or {}).values()))
    for event in span.events:
        size += _EVENT_BYTES + sum(map(_value_bytes, (event.attributes or {}).values()))
    return size + _EVENT_BYTES * len(span.links)


def _value_bytes(value: object) -> int:
    if isinstance(value, str):
        # What the text takes in memory: two or four bytes a character outside Latin-1.
        return _VALUE_BYTES + sys.getsizeof(value)
    if isinstance(value, bytes):
        return _VALUE_BYTES + len(value)
    if isinstance(value, Mapping):
        return _VALUE_BYTES * (1 + len(value)) + sum(map(_value_bytes, value.values()))
    if isinstance(value, Sequence):
        return _VALUE_BYTES + sum(map(_value_bytes, value))
    return _VALUE_BYTES
