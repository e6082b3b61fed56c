"""Drift as of now, and pinning what traffic is compared with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store import drift_results
from gnomon_collector.store.drift_windows import DimensionSet


def drift_report(
    operator: Operator,
    project: str,
    current_hours: int,
    reference_days: int,
    at: AwareDatetime | None = None,
    reference: tuple[AwareDatetime, AwareDatetime] | None = None,
    dimension_set: dict[str, str] | None = None,
    with_texts: bool = True,
) -> Json:
    """Return what drifts in a project, as `gnomon_collector.drift.report.as_json` writes it.

    Args:
        current_hours: length of the current window.
        reference_days: length of the trailing reference.
        at: the current window ends with the hour of this moment; now by default.
        reference: another reference, instead of the trailing or pinned one.
        dimension_set: labels (service_name, model, prompt_name, prompt_version) of the one set to look at.
        with_texts: look at samples of texts and embeddings too.

    Raises:
        BadRequest: the project has no calls, or a window has no length.
    """
    # scipy and scikit-learn take 100 MB: not before they are asked for
    from gnomon_collector.drift.plan import Plan
    from gnomon_collector.drift.report import as_json, report

    if not (1 <= current_hours <= 24 * 31 and 1 <= reference_days <= 400):
        raise BadRequest("The current window has 1 to 744 hours, the reference 1 to 400 days.")
    window = _window(*reference) if reference else None
    plan = Plan(current_hours, reference_days, window)
    only = DimensionSet(**dimension_set) if dimension_set else None
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    return as_json(report(operator.store, project, plan, moment, only=only, with_texts=with_texts))


def pin_drift_reference(
    operator: Operator, project: str, reference: tuple[AwareDatetime, AwareDatetime] | None = None
) -> Json:
    """Pin the window that a project is compared with from now on; without one the trailing reference is back.

    Raises:
        BadRequest: the window has no length.
    """
    now = datetime.now(UTC)
    window = _window(*reference) if reference else (now.replace(minute=0, second=0, microsecond=0),) * 2
    details: dict[str, Any] = {"reference": [moment.isoformat() for moment in window] if reference else None}
    operator.record("drift.pin", project=project, details=details)
    drift_results.pin_reference(operator.store, project, *window, drift_results.version_at(now))
    return {"project": project, **details}


def _window(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    whole = [moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for moment in (start, end)]
    if whole[0] >= whole[1]:
        raise BadRequest("The reference must begin an hour or more before it ends.")
    return whole[0], whole[1]
