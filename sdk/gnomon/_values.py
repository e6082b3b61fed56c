"""Turn any Python value into bounded text or an OpenTelemetry attribute, whatever the value does.

Values come from the host: they may be cyclic, 2,000 levels deep, gigabytes long, or raise from
``__str__``. Nothing here raises for such values, and the work is bounded by a budget.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

Plain = bool | int | float | str | None | list["Plain"] | dict[str, "Plain"]
Attribute = bool | int | float | str | list[bool] | list[int] | list[float] | list[str]

MAX_DEPTH: Final = 16
MAX_NODES: Final = 10_000
MAX_NUMBERS: Final = 128
"""Longest array of numbers that is written out; an embedding is only described."""
ELLIPSIS: Final = "…"
_INT64: Final = range(-(2**63), 2**63)


class _Budget:
    """How much of one value may still be written."""

    __slots__ = ("chars", "nodes")

    def __init__(self, chars: int) -> None:
        self.chars = chars
        self.nodes = MAX_NODES

    @property
    def spent(self) -> bool:
        return self.nodes <= 0 or self.chars <= 0

    def text(self, text: str) -> str:
        kept = clip(text, max(self.chars, 0))
        self.chars -= len(kept)
        return kept


def clip(text: str, max_chars: int) -> str:
    """Cut text to ``max_chars`` characters and say how many are missing."""
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}{ELLIPSIS}[{len(text) - max_chars} more characters]"


def to_text(value: object, max_chars: int) -> str:
    """Return text as it is and anything else as JSON, both within about ``max_chars`` characters."""
    if isinstance(value, str):
        return clip(str.__str__(value), max_chars)
    return json.dumps(to_plain(value, max_chars), ensure_ascii=False, separators=(",", ":"))


def to_plain(value: object, max_chars: int) -> Plain:
    """Return a finite tree of JSON types that shows ``value``."""
    return _plain(value, _Budget(max_chars), 0, ())


def to_attribute(value: object, max_chars: int) -> Attribute:
    """Return ``value`` as OpenTelemetry takes it: scalars and lists of one scalar type, else text."""
    if isinstance(value, bool) or (type(value) is int and value in _INT64) or type(value) is float:
        return value
    if isinstance(value, list | tuple) and (same := _scalars_of_one_type(value)):
        return [clip(item, max_chars) for item in same] if isinstance(same[0], str) else same
    return to_text(value, max_chars)


def safe_str(value: object) -> str:
    """``str(value)``, or a placeholder when that raises."""
    try:
        return str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _scalars_of_one_type(values: list[Any] | tuple[Any, ...]) -> list[Any]:
    kind = type(values[0]) if values else None
    if kind not in (bool, int, float, str) or len(values) > MAX_NODES:
        return []
    fits = all(type(item) is kind and (kind is not int or item in _INT64) for item in values)
    return list(values) if fits else []


def _plain(value: object, budget: _Budget, depth: int, above: tuple[int, ...]) -> Plain:
    budget.nodes -= 1
    try:
        if isinstance(value, str):
            return budget.text(str.__str__(value))
        if value is None or isinstance(value, bool | int | float):
            return _number(value)
        if id(value) in above:
            return "<cycle>"
        if depth >= MAX_DEPTH or budget.spent:
            return ELLIPSIS
        return _compound(value, budget, depth + 1, (*above, id(value)))
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _number(value: bool | int | float | None) -> Plain:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        if isinstance(value, Enum):
            return value.name
        return int(value) if value.bit_length() <= 256 else f"<int of {value.bit_length()} bits>"
    return value


def _compound(value: object, budget: _Budget, depth: int, above: tuple[int, ...]) -> Plain:
    if isinstance(value, Mapping):
        return _mapping(value, budget, depth, above)
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value, budget, depth, above)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, date | time | UUID | Decimal | PurePath):
        return budget.text(str(value))
    if isinstance(value, Enum):
        return _plain(value.value, budget, depth, above)
    if _is_array(value):
        return _array(value, budget, depth, above)
    fields = _fields(value)
    return _mapping(fields, budget, depth, above) if fields is not None else _description(value, budget)


def _mapping(value: Mapping[Any, Any], budget: _Budget, depth: int, above: tuple[int, ...]) -> Plain:
    shown: dict[str, Plain] = {}
    for key, item in value.items():
        if budget.spent:
            shown[ELLIPSIS] = f"{len(value) - len(shown)} more"
            break
        shown[budget.text(clip(safe_str(key), 256))] = _plain(item, budget, depth, above)
    return shown


def _sequence(value: Any, budget: _Budget, depth: int, above: tuple[int, ...]) -> Plain:
    if len(value) > MAX_NUMBERS and all(type(item) is float for item in value):
        return f"<{len(value)} numbers>"
    shown: list[Plain] = []
    for item in value:
        if budget.spent:
            shown.append(f"{ELLIPSIS}{len(value) - len(shown)} more")
            break
        shown.append(_plain(item, budget, depth, above))
    return shown


def _is_array(value: object) -> bool:
    # numpy, pandas and torch all have it; none of them is imported for that.
    return isinstance(getattr(value, "shape", None), tuple)


def _array(value: Any, budget: _Budget, depth: int, above: tuple[int, ...]) -> Plain:
    if math.prod(value.shape) <= MAX_NUMBERS and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist(), budget, depth, above)
    return f"<{type(value).__name__} of shape {'x'.join(map(str, value.shape))}>"


def _fields(value: object) -> Mapping[str, object] | None:
    """The fields of a dataclass, pydantic model or attrs object; None for anything else."""
    kind = type(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if hasattr(kind, "model_fields") or hasattr(kind, "__attrs_attrs__"):
        return {name: item for name, item in vars(value).items() if not name.startswith("_")}
    return None


def _description(value: object, budget: _Budget) -> Plain:
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return f"<{kind.__module__}.{kind.__qualname__}>"
    return budget.text(str(value))
