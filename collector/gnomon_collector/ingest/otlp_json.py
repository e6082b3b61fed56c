"""OTLP/JSON: the JSON encoding of OTLP, turned into protobuf.

It is protobuf's JSON mapping with two differences: trace and span ids are hex, not base64, and enums are
numbers (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). Names of enums and of fields in
snake case are taken too, because some senders use them.
"""

from __future__ import annotations

import base64
import json

from google.protobuf import json_format
from google.protobuf.message import Message

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.signals import TRACES, Signal

_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})


def from_json(body: bytes, signal: Signal = TRACES) -> bytes:
    """Return a JSON export request as protobuf.

    Raises:
        BadRequest: it is not JSON, or not that message. Unknown fields are passed over, as OTLP asks.
    """
    try:
        fields = json.loads(body, object_hook=_with_base64_ids)
        if not isinstance(fields, dict):
            raise BadRequest(f"The body is not a JSON object with {signal.envelope}.")
        request = json_format.ParseDict(
            fields, signal.request(), ignore_unknown_fields=True, max_recursion_depth=100
        )
        return bytes(request.SerializeToString())
    except (ValueError, RecursionError, json_format.Error) as error:
        # The errors of these libraries may quote what was sent, so only their kind is passed on.
        raise BadRequest(
            f"The body is not a valid {signal.request.__name__} in JSON ({type(error).__name__})."
        ) from None


def to_json(message: Message) -> bytes:
    """Return an answer as OTLP/JSON."""
    return str(json_format.MessageToJson(message, indent=None)).encode()


def _with_base64_ids(fields: dict[str, object]) -> dict[str, object]:
    """Ids stand in spans, links, log records and exemplars only; an attribute's value is an object of its own
    and has no such key."""
    for key in _ID_KEYS & fields.keys():
        fields[key] = _base64_of_hex(fields[key])
    return fields


def _base64_of_hex(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an id must be a string")
    try:
        return base64.b64encode(bytes.fromhex(value)).decode()
    except ValueError:
        raise ValueError("an id must be hex") from None
