"""Batches are the protobuf that they say they are, and OTLP's own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope as Scope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from gnomon_schemas.otlp import batch_proto, encode_envelope

Type = descriptor_pb2.FieldDescriptorProto


def make_batch_class() -> Any:
    """Return protobuf's own class for ``Batch``, the request as bytes."""
    file = descriptor_pb2.FileDescriptorProto(name="batch_test.proto", package="batch_test", syntax="proto3")
    envelope = file.message_type.add(name="Envelope")
    types = (Type.TYPE_STRING, Type.TYPE_FIXED64, Type.TYPE_STRING, Type.TYPE_BYTES)
    names = ("project", "received_at_unix_nano", "batch", "request")
    for number, (name, type_) in enumerate(zip(names, types, strict=True), start=1):
        envelope.field.add(name=name, number=number, type=type_, label=Type.LABEL_OPTIONAL)
    file.message_type.add(name="Batch").field.add(
        name="envelopes",
        number=1,
        type=Type.TYPE_MESSAGE,
        type_name=".batch_test.Envelope",
        label=Type.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("batch_test.Batch"))


Batch = make_batch_class()
envelopes = st.tuples(
    st.text(max_size=200), st.integers(0, 2**64 - 1), st.text(max_size=40), st.binary(max_size=400)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(envelopes, max_size=5))
def test_protobuf_reads_what_was_written(listed: list[tuple[str, int, str, bytes]]) -> None:
    batch = Batch.FromString(b"".join(encode_envelope(*each) for each in listed))
    assert [
        (each.project, each.received_at_unix_nano, each.batch, each.request) for each in batch.envelopes
    ] == listed


@settings(max_examples=300, deadline=None)
@given(
    st.text(min_size=1, max_size=200),
    st.integers(1, 2**64 - 1),
    st.text(min_size=1, max_size=40),
    st.binary(min_size=1, max_size=400),
)
def test_bytes_are_those_that_protobuf_writes(project: str, time_ns: int, batch: str, request: bytes) -> None:
    own = Batch()
    own.envelopes.add(project=project, received_at_unix_nano=time_ns, batch=batch, request=request)
    assert encode_envelope(project, time_ns, batch, request) == own.SerializeToString()


@pytest.mark.parametrize("size", [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000])
def test_lengths_at_the_edges_of_varints(size: int) -> None:
    (envelope,) = Batch.FromString(encode_envelope("p", 1, "b", bytes(size))).envelopes
    assert len(envelope.request) == size


MESSAGES: dict[str, Descriptor] = {
    "Request": ExportTraceServiceRequest.DESCRIPTOR,
    "ResourceSpans": ResourceSpans.DESCRIPTOR,
    "Resource": Resource.DESCRIPTOR,
    "ScopeSpans": ScopeSpans.DESCRIPTOR,
    "Scope": Scope.DESCRIPTOR,
    "Span": Span.DESCRIPTOR,
    "Event": Span.Event.DESCRIPTOR,
    "Link": Span.Link.DESCRIPTOR,
    "Status": Status.DESCRIPTOR,
    "KeyValue": KeyValue.DESCRIPTOR,
    "AnyValue": AnyValue.DESCRIPTOR,
    "ArrayValue": ArrayValue.DESCRIPTOR,
    "KeyValueList": KeyValueList.DESCRIPTOR,
}
OUR_NAMES = {descriptor.full_name: name for name, descriptor in MESSAGES.items()}
SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
    FieldDescriptor.TYPE_ENUM: "uint32",  # ClickHouse would want the names of an enum
}


def our_messages() -> dict[str, list[tuple[str, str, str, int]]]:
    """Return (repeated or not, type, name, number) of the fields in our .proto file, by message."""
    text = re.sub(r"//.*", "", batch_proto())
    found = {}
    for name, body in re.findall(r"message (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}", text):
        fields = re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", body)
        found[name] = [
            (repeated.strip(), type_, field, int(number)) for repeated, type_, field, number in fields
        ]
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_are_those_of_otlp(name: str) -> None:
    official = MESSAGES[name].fields_by_name
    fields = our_messages()[name]
    assert fields
    for repeated, type_, field_name, number in fields:
        field = official[field_name]
        message = field.message_type
        assert field.number == number
        assert (field.is_repeated, type_) == (
            bool(repeated),
            OUR_NAMES[message.full_name] if message is not None else SCALARS[field.type],
        )


def test_every_message_is_compared() -> None:
    assert set(our_messages()) == {*MESSAGES, "Batch", "Envelope"}
