"""OTLP's values as Python has them, and as texts."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def plain(value: AnyValue) -> object:
    """Return a value as JSON has it; bytes as base64, numbers JSON has no word for as null."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(element) for element in value.array_value.values]
    if kind == "kvlist_value":
        return {entry.key: plain(entry.value) for entry in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return None
    return None if kind is None else getattr(value, kind)


def text(value: AnyValue) -> str:
    """Return a value as a text: strings as they are, nothing as "", bytes as base64, all else as JSON."""
    said = plain(value)
    if said is None:
        return ""
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Return attributes as texts by name."""
    return {attribute.key: text(attribute.value) for attribute in attributes}
