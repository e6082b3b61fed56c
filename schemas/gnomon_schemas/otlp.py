"""The OTLP side of the contract: how a batch of export requests reaches ClickHouse.

ClickHouse decodes the protobuf itself (format ``ProtobufSingle`` with `batch_proto`), so a batch is made by
concatenating envelopes around requests as they came from the wire; nothing is parsed or re-encoded here.
"""

from importlib.resources import files
from types import MappingProxyType
from typing import Final

JSON_KEY: Final = "$gnomon.json"
"""A key-value list whose only key is this one holds a value as JSON text: how values nested deeper than
`MAX_DEPTH` are stored (see `gnomon_collector.ingest.flatten`). Nothing keeps a client from sending such a
list itself; its text is then taken as it is, JSON or not."""

MAX_DEPTH: Final = 1
"""How deep an AnyValue may nest before the database needs it flattened: the elements of one array or list."""

_ONEOF: Final = (
    "Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, 'int_value' = 3, 'double_value' = 4,"
    " 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7)"
)
_SCALARS: Final = (
    f"value {_ONEOF}, string_value String, bool_value Bool, int_value Int64, double_value Float64,"
    " bytes_value String"
)
_ELEMENT: Final = f"Tuple({_SCALARS})"

DDL_SLOTS: Final = MappingProxyType(
    {
        "key_value": (
            f"Tuple(key String, value Tuple({_SCALARS},"
            f" array_value Tuple(values Array({_ELEMENT})),"
            f" kvlist_value Tuple(values Array(Tuple(key String, value {_ELEMENT})))))"
        ),
        "value_type": (
            "Enum8('none' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4,"
            " 'array' = 5, 'kvlist' = 6, 'bytes' = 7)"
        ),
    }
)
"""Texts for the ``{key_value}`` and ``{value_type}`` slots of the migrations."""

BATCH_TABLE: Final = "otlp_inbox"
BATCH_FORMAT: Final = "ProtobufSingle"


def batch_proto() -> str:
    """Return the text of ``proto/otlp_batch.proto``."""
    return (files("gnomon_schemas") / "proto" / "otlp_batch.proto").read_text(encoding="utf-8")


def batch_settings() -> dict[str, object]:
    """Return the ClickHouse settings (>= 25.9) under which `BATCH_TABLE` takes a batch."""
    return {
        "format_schema_source": "string",
        "format_schema": batch_proto(),
        "format_schema_message_name": "Batch",
        "input_format_protobuf_oneof_presence": 1,
        # One request may span years of days; the collector bounds the earliest and the latest.
        "max_partitions_per_insert_block": 0,
    }


def encode_envelope(project: str, received_at_unix_nano: int, batch: str, request: bytes) -> bytes:
    """Wrap one serialized ``ExportTraceServiceRequest`` for a batch.

    Args:
        project: tenant the request belongs to.
        received_at_unix_nano: when it was taken in, nanoseconds since 1970 (UTC).
        batch: id of the batch it is inserted with.
        request: the request's protobuf bytes, as received.

    Returns:
        One ``Batch.envelopes`` field. Concatenated fields are a valid ``Batch``
        (protobuf encoding: repeated fields may be concatenated).
    """
    body = b"".join(
        (
            _length_delimited(1, project.encode()),
            _tag(2, 1),
            received_at_unix_nano.to_bytes(8, "little"),
            _length_delimited(3, batch.encode()),
            _tag(4, 2),
            _varint(len(request)),
        )
    )
    return b"".join((_tag(1, 2), _varint(len(body) + len(request)), body, request))


def _length_delimited(field: int, payload: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(payload)) + payload


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
