"""Deep values become JSON text; everything else stays as it is."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.ingest.payloads import any_value, is_json_of, key_values, otlp_type, request, span, spans_of

from gnomon_collector.ingest.flatten import flatten_request
from gnomon_schemas.otlp import JSON_KEY

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=10)
    | st.binary(max_size=10)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


def depth(value: object) -> int:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(value, list | dict) else 0


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_only_deep_values_change_and_say_the_same(attributes: dict[str, object]) -> None:
    body = request([span(1, 1, attributes), span(2, 1, {"k": "v"})])
    flattened = flatten_request(body)
    if max(map(depth, attributes.values()), default=0) < 2:
        assert flattened is None
        return
    assert flattened is not None
    (_, _, changed), (_, _, beside) = spans_of(flattened)
    assert beside == span(2, 1, {"k": "v"})
    for stored, (key, value) in zip(changed.attributes, attributes.items(), strict=True):
        assert stored.key == key
        if depth(value) < 2:
            assert stored.value == any_value(value) or value != value
        else:
            (entry,) = stored.value.kvlist_value.values
            assert entry.key == JSON_KEY
            assert is_json_of(value, json.loads(entry.value.string_value))
            assert entry.value.string_value[0] == "[{"[otlp_type(value) == "kvlist"]


def test_resources_and_events_too() -> None:
    deep: dict[str, object] = {"deep": [[1]]}
    event = Span.Event(name="e", attributes=key_values(deep))
    for body in (request([span(1, 1)], resource=deep), request([span(1, 1, events=[event])])):
        flattened = flatten_request(body)
        assert flattened is not None
        assert b"[[1]]" in flattened
        assert flatten_request(flattened) is None


def test_text_is_kept_as_it_is() -> None:
    flattened = flatten_request(request([span(1, 1, {"deep": [["Привет", 'a"b']]})]))
    assert flattened is not None
    assert '[["Привет","a\\"b"]]'.encode() in flattened
