"""Values nested deeper than the database decodes, turned into JSON text.

The table that takes in OTLP has a finite shape: an attribute may be a scalar, an array of scalars or a
key-value list of scalars. A span with anything deeper is not decoded there; its request comes here, where
such values become a key-value list of one entry whose key is `JSON_KEY` and whose value is the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from gnomon_collector.ingest.any_value import plain
from gnomon_schemas.otlp import JSON_KEY

_COMPOSITE = ("array_value", "kvlist_value")


def flatten_request(body: bytes) -> bytes | None:
    """Return the request with its deep values flattened, or None when it has none.

    Args:
        body: a valid ``ExportTraceServiceRequest``, protobuf.
    """
    request = ExportTraceServiceRequest.FromString(body)
    deep = [value for value in _values(request) if _is_deep(value)]
    for value in deep:
        text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
        value.Clear()
        value.kvlist_value.values.append(KeyValue(key=JSON_KEY, value=AnyValue(string_value=text)))
    return bytes(request.SerializeToString()) if deep else None


def _values(request: ExportTraceServiceRequest) -> Iterable[AnyValue]:
    for resource_spans in request.resource_spans:
        yield from _of(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield from _of(span.attributes)
                for event in span.events:
                    yield from _of(event.attributes)


def _of(attributes: Iterable[KeyValue]) -> Iterable[AnyValue]:
    return (attribute.value for attribute in attributes)


def _is_deep(value: AnyValue) -> bool:
    return any(element.WhichOneof("value") in _COMPOSITE for element in _elements(value))


def _elements(value: AnyValue) -> Iterable[AnyValue]:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return list(value.array_value.values)
    if kind == "kvlist_value":
        return _of(value.kvlist_value.values)
    return ()
