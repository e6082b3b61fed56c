"""Thresholds calibrated on what people say, and how far the judge can be trusted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gnomon_collector.errors import BadRequest
from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.store import reviews
from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality_agreement import Agreement, calibrate

Json = Any


def calibrate_evaluator(
    store: Store, setup: JudgeSetup, project: str, evaluator: str, since: datetime, now: datetime
) -> Json:
    """Compare the judge with people, keep the threshold at which they agree best, and return all.

    Raises:
        BadRequest: there is no such evaluator, or nothing to compare
    """
    version = setup.versions.get(evaluator)
    if version is None:
        raise BadRequest(f"There is no evaluator {evaluator!r}: {', '.join(setup.versions)}.")
    found = reviews.pairs(store, project, evaluator, version, since, now)
    if not found:
        raise BadRequest(
            f"People and the judge ({version}) have no answer of {project!r} in common. Label some on the"
            " page Review first."
        )
    valued = [
        (pair.judge_value, pair.human_value)
        for pair in found
        if pair.judge_value is not None and pair.human_value is not None
    ]
    threshold = calibrate([judge for judge, _ in valued], [human for _, human in valued])
    if threshold is not None and threshold.agreement.is_enough:
        reviews.save_threshold(store, project, evaluator, version, threshold, now)
    return {
        "evaluator": evaluator,
        "version": version,
        "agreement": agreement_json(reviews.agreement_of(found)),
        "people": agreement_json(reviews.agreement_of_people(store, project, evaluator)),
        "weeks": [
            {"week": week.date().isoformat(), **agreement_json(one)}
            for week, one in reviews.agreement_by_week(found)
        ],
        "threshold": threshold.value if threshold else None,
        "threshold_agreement": agreement_json(threshold.agreement) if threshold else None,
        "is_saved": threshold is not None and threshold.agreement.is_enough,
    }


def agreement_json(one: Agreement) -> dict[str, Json]:
    """Return an agreement as JSON."""
    return {
        "pairs": one.pairs,
        "kappa": one.kappa,
        "low": one.low,
        "high": one.high,
        "observed": one.observed,
        "labels": list(one.labels),
        "confusion": [list(row) for row in one.confusion],
        "is_enough": one.is_enough,
    }
