"""All operations by name, and how one is run with arguments from JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError, validate_call

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations import alerts, backup, drift, erasure, judge, people, projects, quarantine
from gnomon_collector.operations.operator import Json, Operator

OPERATIONS: Final[Mapping[str, Callable[..., Json]]] = {
    function.__name__: function
    for function in (
        quarantine.list_quarantine,
        quarantine.show_quarantined,
        quarantine.retry_quarantined,
        quarantine.drop_quarantined,
        erasure.erase_subject,
        people.list_users,
        people.create_user,
        people.set_role,
        people.reset_password,
        people.delete_user,
        people.create_key,
        people.rotate_key,
        people.revoke_key,
        projects.list_projects,
        projects.set_project,
        projects.list_audit,
        backup.write_backup,
        drift.drift_report,
        drift.pin_drift_reference,
        alerts.list_alerts,
        alerts.list_rules,
        alerts.preview_rule,
        alerts.save_rule,
        alerts.delete_rule,
        alerts.silence_alerts,
        alerts.list_silences,
        alerts.end_silence,
        alerts.acknowledge_alert,
        alerts.test_channel,
        alerts.list_budgets,
        alerts.list_slos,
        judge.judge_evaluators,
        judge.judge_status,
        judge.judge_estimate,
        judge.judge_backfill,
        judge.judge_run,
        judge.judge_scores,
        judge.judge_calibrate,
        judge.judge_golden,
        judge.judge_compare,
        judge.judge_pause,
        judge.judge_retry,
    )
}


def run(name: str, operator: Operator, arguments: Mapping[str, Any]) -> Json:
    """Run an operation.

    Args:
        arguments: by name; checked against the function's own types.

    Raises:
        BadRequest: no such operation, or the arguments do not fit it.
    """
    function = OPERATIONS.get(name)
    if function is None:
        raise BadRequest(f"There is no operation {name!r}: {', '.join(OPERATIONS)}.")
    checked = validate_call(config={"arbitrary_types_allowed": True})(function)
    unknown = set(arguments) - set(inspect.signature(function).parameters)
    if unknown:
        raise BadRequest(f"{name} takes no argument {sorted(unknown)[0]!r}.")
    try:
        return checked(operator, **arguments)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
