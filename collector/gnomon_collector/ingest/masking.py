"""Masking of personal data before anything is written, for projects that ask for it.

The recognisers are the SDK's. They run where a request is taken in, so that neither the inbox nor the
database ever holds what they find; only projects that want it pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from gnomon._masking import Masker, Masking
from gnomon_collector.ingest.signals import LOGS, TRACES, Signal


def mask_request(body: bytes, signal: Signal) -> bytes:
    """Return an export request with e-mail addresses, cards, keys and the like replaced by marks.

    Args:
        body: protobuf that has been checked. Metrics carry no content and stay as they are.
    """
    if signal not in (TRACES, LOGS):
        return body
    mask = Masker(Masking())
    request = signal.request.FromString(body)
    for message in _carriers(request, signal):
        _mask_message(message, mask)
    return bytes(request.SerializeToString())


def mask_text(text: str) -> str:
    """Return a text, such as a user's comment, masked."""
    return Masker(Masking())(text, "")


def _carriers(request: Any, signal: Signal) -> Iterable[Message]:
    """Yield every message of a request that has attributes or texts of its own."""
    for resource in getattr(request, "resource_spans" if signal == TRACES else "resource_logs"):
        yield resource.resource
        for scope in getattr(resource, "scope_spans" if signal == TRACES else "scope_logs"):
            yield scope.scope
            for item in scope.spans if signal == TRACES else scope.log_records:
                yield item
                if signal == TRACES:
                    yield from item.events
                    yield from item.links


def _mask_message(message: Any, mask: Masker) -> None:
    for attribute in message.attributes:
        _mask_value(attribute.value, attribute.key, mask)
    fields = message.DESCRIPTOR.fields_by_name
    if "body" in fields:
        _mask_value(message.body, "", mask)
    if "status" in fields:
        message.status.message = mask(message.status.message, "")


def _mask_value(value: AnyValue, key: str, mask: Masker) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value = mask(value.string_value, key)
    elif kind == "array_value":
        for item in value.array_value.values:
            _mask_value(item, key, mask)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            _mask_value(pair.value, key, mask)
