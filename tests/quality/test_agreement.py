"""Agreement: kappa, its interval, thresholds, correlation."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from gnomon_collector.cli.judge_tables import show_calibration
from gnomon_collector.store.quality_agreement import agreement, calibrate, rank_correlation


def test_kappa_of_the_textbook_example() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 0.7 observed, 0.5 by chance, kappa 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = agreement(first, second)
    assert found.labels == ("no", "yes") and found.confusion == ((15, 10), (5, 20))
    assert found.observed == pytest.approx(0.7) and found.kappa == pytest.approx(0.4)
    assert found.low is not None and found.high is not None and found.low < 0.4 < found.high
    assert 0.1 < found.low < 0.2 and 0.6 < found.high < 0.7


def test_the_interval_is_the_same_every_time() -> None:
    labels = ["a", "b", "c"] * 20
    other = ["a", "b", "a"] * 20
    assert agreement(labels, other) == agreement(labels, other)


def test_where_kappa_says_nothing() -> None:
    assert agreement([], []).kappa is None
    assert agreement(["a"] * 30, ["a"] * 30).kappa is None
    few = agreement(["a", "b"], ["a", "b"])
    assert few.kappa == 1.0 and few.low is None and not few.is_enough
    with pytest.raises(ValueError, match="same answers"):
        agreement(["a"], [])


def test_the_threshold_is_where_people_agree_best() -> None:
    judge = [0.0, 0.5, 1.0] * 20
    human = [0.0, 0.0, 1.0] * 20
    found = calibrate(judge, human)
    assert found is not None and found.value == 0.75 and found.agreement.kappa == 1.0
    assert calibrate([1.0] * 5, [1.0, 0.0] * 2 + [1.0]) is None
    assert calibrate([1.0, 0.0], [1.0, 1.0]) is None


def test_correlation_with_its_interval() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=200)
    second = first + rng.normal(size=200)
    found = rank_correlation(first.tolist(), second.tolist())
    assert found is not None
    rho, low, high = found
    assert low < rho < high and 0.55 < rho < 0.8 and high - low < 0.25
    assert rank_correlation([1.0] * 20, second.tolist()[:20]) is None
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None


def test_two_labels_in_common_make_no_kappa_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    few = asdict(agreement(["a", "b"], ["a", "b"]))
    show_calibration(
        {"evaluator": "groundedness", "version": "1", "agreement": few, "people": few, "threshold": None}
    )
    assert "too few to say: 100% equal, 2 answers" in capsys.readouterr().out
