"""Every attribute comes back as it was sent, with its type."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.ingest.payloads import (
    Duplicates,
    any_value,
    hour_ago_ns,
    is_json_of,
    key_values,
    otlp_type,
    request,
    span,
)
from tests.ingest.pipeline import Pipeline

TEXT = "quotes \" ' and \\ slashes / NUL \x00 line\n\u2028 é日本 \U0001f600 {a:String} $gnomon"


def nested(depth: int, *, as_list: bool) -> object:
    value: object = "deepest"
    for _ in range(depth):
        value = [value] if as_list else {"in": value}
    return value


SCALARS: dict[str, object] = {
    "int zero": 0,
    "int": 42,
    "int largest": 2**63 - 1,
    "int smallest": -(2**63),
    "double zero": 0.0,
    "double minus zero": -0.0,
    "double whole": 3.0,
    "double": 0.1,
    "double long": 123456789.123456789,
    "double largest": 1.7976931348623157e308,
    "double smallest": 5e-324,
    "double infinite": math.inf,
    "double minus infinite": -math.inf,
    "double not a number": math.nan,
    "false": False,
    "true": True,
    "string empty": "",
    "string": TEXT,
    "bytes empty": b"",
    "bytes": bytes(range(256)),
    "not set": None,
}
LISTS: dict[str, object] = {
    "array empty": [],
    "array of zeros": [0, 0, 0],
    "array of ints": [2**63 - 1, -(2**63), 0],
    "array of doubles": [0.5, -1e300, 5e-324],
    "array of denormals": [math.nan, math.inf, -math.inf],
    "array of bools": [False, True, False],
    "array of strings": ["", TEXT],
    "array of bytes": [b"", b"\x00\xff"],
    "array of nothing": [None, None],
    "array mixed": ["a", 0, 0.5, False, b"b", None],
    "list empty": {},
    "list": {"s": TEXT, "i": 0, "d": 0.5, "b": False, "y": b"\x00", "n": None, "": "", TEXT: 1},
    "list with a key like ours": {"$json": "not json"},
}
DEEP: dict[str, object] = {
    f"{'array' if as_list else 'list'} {depth} deep": nested(depth, as_list=as_list)
    for depth in (2, 3, 10, 30)
    for as_list in (True, False)
} | {
    "mixed and deep": [[], {}, [None, [b"\x00", math.nan]], {"a": {"b": [0, False, "", TEXT]}}],
    "array in list": {"array": [0, 0.5, ""], "list": {"": None}},
}
VALUES = SCALARS | LISTS | DEEP


def assert_stored(value: object, text: str) -> None:
    """Check the text that `spans.attributes` has of a value."""
    match value:
        case None:
            assert text == ""
        case bool():
            assert text == str(value).lower()
        case float():
            assert math.isnan(float(text)) if math.isnan(value) else repr(float(text)) == repr(value)
        case int():
            assert text == str(value)
        case str():
            assert text == value
        case bytes():
            assert base64.b64decode(text, validate=True) == value
        case _:
            assert is_json_of(value, json.loads(text)), (value, text)


def assert_map_stored(values: Mapping[str, object], stored: object) -> None:
    assert isinstance(stored, dict)
    assert stored.keys() == values.keys()
    for name, value in values.items():
        assert_stored(value, stored[name])


@pytest.mark.parametrize("values", [SCALARS, LISTS, DEEP, VALUES], ids=["scalars", "lists", "deep", "all"])
def test_attributes_resource_and_events(pipeline: Pipeline, values: Mapping[str, object]) -> None:
    start_ns = hour_ago_ns()
    event = Span.Event(time_unix_nano=start_ns, name="happened", attributes=key_values(values))
    pipeline.send(request([span(1, start_ns, values, events=[event])], resource=values))

    ((attributes, types, keys, resource, events),) = pipeline.rows(
        "SELECT attributes, CAST(attribute_types, 'Array(String)'), mapKeys(attributes), resource,"
        " events.attributes FROM spans"
    )
    assert_map_stored(values, attributes)
    assert dict(zip(keys, types, strict=True)) == {name: otlp_type(value) for name, value in values.items()}
    assert_map_stored(values, resource)
    assert isinstance(events, list)
    assert_map_stored(values, events[0])


def test_deep_values_do_not_change_the_spans_beside_them(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    shallow, deep = span(1, start_ns, LISTS), span(2, start_ns, DEEP)
    also_shallow = span(3, start_ns, SCALARS)
    pipeline.send(request([shallow, deep]), request([also_shallow]))

    rows = pipeline.rows("SELECT attributes FROM spans ORDER BY span_id")
    for (stored,), values in zip(rows, (LISTS, DEEP, SCALARS), strict=True):
        assert_map_stored(values, stored)


def test_an_attribute_without_value(pipeline: Pipeline) -> None:
    bare = span(1, hour_ago_ns())
    bare.attributes.append(KeyValue(key="bare"))
    pipeline.send(request([bare]))
    rows = pipeline.rows("SELECT attributes, CAST(attribute_types, 'Array(String)') FROM spans")
    assert rows == [({"bare": ""}, ["none"])]


def test_a_key_sent_twice_keeps_both_and_the_first_is_read(pipeline: Pipeline) -> None:
    twice = Duplicates(("k", "first"), ("other", 1), ("k", 2))
    sent = span(1, hour_ago_ns())
    sent.attributes.extend(key_values(twice))
    pipeline.send(request([sent]))
    rows = pipeline.rows(
        "SELECT attributes['k'], mapKeys(attributes), mapValues(attributes),"
        " CAST(attribute_types, 'Array(String)') FROM spans"
    )
    assert rows == [("first", ["k", "other", "k"], ["first", "1", "2"], ["string", "int", "int"])]


def test_keys_are_data(pipeline: Pipeline) -> None:
    keys = ["", "__proto__", "__class__", "a.b", "a b", "'; DROP TABLE spans; --", "ключ", "k" * 2**20]
    pipeline.send(request([span(1, hour_ago_ns(), dict.fromkeys(keys, "v"))]))
    assert pipeline.rows("SELECT attributes FROM spans") == [(dict.fromkeys(keys, "v"),)]


def test_a_megabyte_of_text(pipeline: Pipeline) -> None:
    text = "é" * 2**19
    values: dict[str, object] = {"text": text, "array": [text], "deep": [[text]], "bytes": b"\xff" * 2**20}
    pipeline.send(request([span(1, hour_ago_ns(), values)]))
    ((stored,),) = pipeline.rows("SELECT attributes FROM spans")
    assert_map_stored(values, stored)


def test_a_hundred_thousand_attributes(pipeline: Pipeline) -> None:
    values: dict[str, object] = {f"key {number}": number for number in range(100_000)}
    pipeline.send(request([span(1, hour_ago_ns(), values)]))
    rows = pipeline.rows(
        "SELECT length(attributes), arraySum(arrayMap(x -> toUInt64(x), mapValues(attributes))) FROM spans"
    )
    assert rows == [(100_000, sum(range(100_000)))]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("a" * 8192, []),
        ("é" * 8192, []),  # twice as many bytes
        ("a" * 8193, ["input_text_truncated", "output_text_truncated"]),
        ("日" * 9000, ["input_text_truncated", "output_text_truncated"]),
    ],
    ids=["as long as may be", "more bytes", "too long", "too long and more bytes"],
)
def test_long_texts_are_cut_where_they_are_shown_and_kept_whole(
    pipeline: Pipeline, text: str, flags: list[str]
) -> None:
    pipeline.send(request([span(1, hour_ago_ns(), {"gnomon.input": text, "gnomon.output": text})]))
    rows = pipeline.rows("SELECT input_text, output_text, attributes['gnomon.input'], data_flags FROM spans")
    assert rows == [(text[:8192], text[:8192], text, flags)]


def test_links_and_status(pipeline: Pipeline) -> None:
    links = [Span.Link(trace_id=b"\xab" * 16, span_id=b"\xcd" * 8), Span.Link()]
    sent = span(1, hour_ago_ns(), links=links, parent_span_id=b"\x0a" * 8)
    sent.status.message = TEXT
    pipeline.send(request([sent]))
    ((stored, parent, message),) = pipeline.rows(
        "SELECT arrayMap(l -> [l.1, l.2], links), parent_span_id, status_message FROM spans"
    )
    assert (stored, parent, message) == ([["ab" * 16, "cd" * 8], ["", ""]], "0a" * 8, TEXT)


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],  # an example costs a flush: shrinking would take minutes
)
@given(st.lists(st.dictionaries(st.text(max_size=8), values, max_size=6), min_size=20, max_size=40))
def test_any_values_at_all(pipeline: Pipeline, attributes: list[dict[str, object]]) -> None:
    pipeline.store.command("TRUNCATE TABLE spans")
    start_ns = hour_ago_ns()
    pipeline.send(request(span(number, start_ns, each) for number, each in enumerate(attributes)))

    rows = pipeline.rows(
        "SELECT attributes, CAST(attribute_types, 'Array(String)') FROM spans ORDER BY span_id"
    )
    assert len(rows) == len(attributes)
    for (stored, types), sent in zip(rows, attributes, strict=True):
        assert_map_stored(sent, stored)
        assert types == [otlp_type(value) for value in sent.values()]


def test_the_oracle_knows_every_member_of_any_value() -> None:
    sent = {any_value(value).WhichOneof("value") for value in VALUES.values()}
    assert sent == {field.name for field in AnyValue.DESCRIPTOR.oneofs_by_name["value"].fields} - {
        "string_value_strindex"
    } | {None}
