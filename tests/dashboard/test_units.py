from __future__ import annotations

import pytest

from gnomon_dashboard import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (987, "987"),
        (999.96, "1.00k"),
        (12_345, "12.3k"),
        (4_560_000, "4.56M"),
        (2.5e12, "2.50T"),
    ],
)
def test_counts(value: float | None, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"), (0.4213, "0.42 ms"), (5.25, "5.2 ms"), (512.4, "512 ms"), (999.6, "1.00 s"), (1240, "1.24 s"),
        (45_000, "45.0 s"), (200_000, "3 min 20 s"), (7_260_000, "2 h 1 min"),
    ],
)  # fmt: skip
def test_durations(ms: float | None, text: str) -> None:
    assert units.duration(ms) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "–"), (0, "$0"), (1204.4, "$1,204"), (3.519, "$3.52"), (0.0542, "$0.0542"), (0.0042, "$0.0042"), (0.00001234, "$0.000012")],
)  # fmt: skip
def test_amounts(usd: float | None, text: str) -> None:
    assert units.usd(usd) == text


def test_almost_all_is_not_all() -> None:
    assert units.percent(0.99996) == "99.9%"
    assert units.percent(1.0) == "100.0%"
    assert units.percent(0.99996, 2) == "99.99%"


def test_change_needs_something_before() -> None:
    assert units.change(3, 2) == 0.5
    assert units.change(3, 0) is None
    assert units.change(None, 2) is None
