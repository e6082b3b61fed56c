"""Hostile, cyclic, deep and huge values become bounded text, and nothing raises."""

import dataclasses
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from gnomon._values import MAX_NODES, safe_str, to_attribute, to_plain, to_text


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


class HostileMapping(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items for you")


class HostileText(str):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    def __len__(self) -> int:
        raise RuntimeError("no length for you")


class Shade(Enum):
    DARK = "dark"


class Level(IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    y: Any


class Person(BaseModel):
    name: str
    password: SecretStr


class FakeArray:
    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def tolist(self) -> list[float]:
        return [0.5] * math.prod(self.shape)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


def test_text_stays_text_and_is_clipped() -> None:
    assert to_text("Привет", 100) == "Привет"
    assert to_text("x" * 300, 100) == "x" * 100 + "…[200 more characters]"


def test_structures_become_readable_json() -> None:
    value = {"q": "Привет", "n": 1, "f": 0.5, "none": None, "t": (1, 2), "flag": False}
    assert json.loads(to_text(value, 1000)) == {**value, "t": [1, 2]}
    assert "Привет" in to_text(value, 1000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Hostile(), "<unprintable Hostile>"),
        ([1, Hostile()], [1, "<unprintable Hostile>"]),
        (HostileMapping(a=1), "<unprintable HostileMapping>"),
        (cyclic(), {"a": 1, "self": "<cycle>"}),
        ({Hostile(): 1}, {"<unprintable Hostile>": 1}),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (b"\xff\x00", "<2 bytes>"),
        (object(), "<builtins.object>"),
        (Shade.DARK, "dark"),
        (Level.HIGH, "HIGH"),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (Person(name="a", password=SecretStr("s3cret")), {"name": "a", "password": "**********"}),
        (Decimal("1.5"), "1.5"),
        (Path("/a/b"), "/a/b"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        (FakeArray(2, 2), [0.5] * 4),
        (FakeArray(300, 40), "<FakeArray of shape 300x40>"),
        ([0.25] * 1536, "<1536 numbers>"),
    ],
)
def test_what_odd_values_become(value: object, expected: object) -> None:
    assert to_plain(value, 10_000) == expected
    assert json.loads(to_text([value], 10_000)) == [expected]


def test_an_integer_too_long_to_print_is_described() -> None:
    assert to_plain([10**5000], 100) == ["<int of 16610 bits>"]


def test_text_subclasses_cannot_raise() -> None:
    assert to_text(HostileText("hello"), 100) == "hello"


def test_2000_levels_end_at_the_depth_limit() -> None:
    assert len(to_text(deep(2000), 10_000)) < 100


def test_a_huge_list_ends_at_the_budget() -> None:
    shown = json.loads(to_text(list(range(1_000_000)), 10**9))
    assert len(shown) <= MAX_NODES + 1
    assert shown[-1].endswith("more")


def test_many_long_texts_end_at_the_budget() -> None:
    assert len(to_text(["x" * 1000] * 1000, 5_000)) < 7_000


def test_attributes_keep_what_opentelemetry_takes() -> None:
    assert to_attribute(True, 10) is True
    assert to_attribute(3, 10) == 3
    assert to_attribute(0.5, 10) == 0.5
    assert to_attribute(("a", "b"), 10) == ["a", "b"]
    assert to_attribute([1, 2], 10) == [1, 2]
    assert to_attribute([1, "a"], 10) == '[1,"a"]'
    assert to_attribute([], 10) == "[]"
    assert to_attribute({"a": 1}, 100) == '{"a":1}'
    assert to_attribute(2**70, 100) == str(2**70)


def test_safe_str() -> None:
    assert safe_str(Hostile()) == "<unprintable Hostile>"
    assert safe_str(1) == "1"


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.text())
    ),
)


@given(JSON_LIKE, st.integers(256, 2_000))
def test_any_tree_becomes_json_of_bounded_length(value: object, max_chars: int) -> None:
    text = to_text([value], max_chars)
    json.loads(text)
    # Escapes may blow one character up to six; brackets and keys come on top.
    assert len(text) < 6 * max_chars + 10 * MAX_NODES
