"""Export requests for tests, and what the database should make of their values."""

from __future__ import annotations

import base64
import gzip
import math
import time
from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
GENAI_SCOPE = "opentelemetry.instrumentation.genai.openai"


class Duplicates(dict[str, object]):
    """A dict of which `items` yields `pairs`: keys may repeat."""

    def __init__(self, *pairs: tuple[str, object]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def any_value(value: object) -> AnyValue:
    """Return `value` as OTLP has it; None is a value that is not set."""
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(each) for each in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    raise TypeError(f"{type(value)} is no OTLP value")


def key_values(values: Mapping[str, object]) -> list[KeyValue]:
    """Return a mapping as a list of attributes."""
    pairs = values.pairs if isinstance(values, Duplicates) else values.items()
    return [KeyValue(key=key, value=any_value(value)) for key, value in pairs]


def otlp_type(value: object) -> str:
    """Return what `spans.attribute_types` should say of a value."""
    names = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes", list: "array"}
    return "none" if value is None else names.get(type(value), "kvlist")


def is_json_of(value: object, parsed: object) -> bool:
    """Whether `parsed`, the parsed JSON text of an array or key-value list, says `value`."""
    match value:
        case list():
            same = isinstance(parsed, list) and len(parsed) == len(value)
            return same and all(map(is_json_of, value, parsed))
        case dict():
            same = isinstance(parsed, dict) and parsed.keys() == value.keys()
            return same and all(is_json_of(each, parsed[key]) for key, each in value.items())
        case bytes():
            return bool(parsed == base64.b64encode(value).decode())
        case float() if not math.isfinite(value):
            return parsed is None  # JSON has no word for it
        case float():
            return isinstance(parsed, int | float) and float(parsed) == value
    return type(parsed) is type(value) and bool(parsed == value)


def span(
    number: int, start_ns: int, attributes: Mapping[str, object] | None = None, **fields: object
) -> Span:
    """Return a span with ids made of `number`, 5 ms long unless `fields` say otherwise."""
    given: dict[str, object] = {
        "trace_id": (number + 1).to_bytes(16, "big"),
        "span_id": (number + 1).to_bytes(8, "big"),
        "name": "step",
        "start_time_unix_nano": start_ns,
        "end_time_unix_nano": start_ns + 5_000_000,
        **fields,
    }
    return Span(attributes=key_values(attributes or {}), **given)


def chat_span(number: int, start_ns: int, *, model: str = "gpt-4o-mini", **said: object) -> Span:
    """Return a chat call with usage; `said` are further attributes, dots written as two underscores."""
    attributes: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
    }
    attributes |= {name.replace("__", "."): value for name, value in said.items()}
    return span(number, start_ns, attributes, name=f"chat {model}")


def request(
    spans: Iterable[Span], *, scope: str = GENAI_SCOPE, resource: Mapping[str, object] | None = None
) -> bytes:
    """Return a serialized export request of one resource and scope."""
    of_scope = ScopeSpans(scope=InstrumentationScope(name=scope, version="1.3"), spans=spans)
    of_resource = ResourceSpans(
        resource=Resource(attributes=key_values(resource or {"service.name": "shop"})), scope_spans=[of_scope]
    )
    return bytes(ExportTraceServiceRequest(resource_spans=[of_resource]).SerializeToString())


def spans_of(body: bytes) -> list[tuple[ResourceSpans, ScopeSpans, Span]]:
    """Return every span of a request with what stands around it."""
    parsed = ExportTraceServiceRequest.FromString(body)
    return [
        (resource_spans, scope_spans, each)
        for resource_spans in parsed.resource_spans
        for scope_spans in resource_spans.scope_spans
        for each in scope_spans.spans
    ]


def request_of(parts: Sequence[tuple[ResourceSpans, ScopeSpans, Span]]) -> bytes:
    """Return a request of spans taken from others, each under a resource and a scope of its own."""
    made = ExportTraceServiceRequest()
    for resource_spans, scope_spans, each in parts:
        of_resource = made.resource_spans.add(resource=resource_spans.resource)
        of_resource.scope_spans.add(scope=scope_spans.scope, spans=[each])
    return bytes(made.SerializeToString())


def hour_ago_ns() -> int:
    """Return a time an hour ago at a full minute, nanoseconds since 1970."""
    return (time.time_ns() - 3600 * SECOND_NS) // MINUTE_NS * MINUTE_NS


def gzipped(body: bytes) -> bytes:
    """Return `body` compressed."""
    return gzip.compress(body, 1)
