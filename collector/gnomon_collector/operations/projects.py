"""What is set for a project, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store import audit, projects


def list_projects(operator: Operator) -> Json:
    """Return the settings of the projects that have any."""
    return [asdict(each) for each in projects.project_settings(operator.store).values()]


def set_project(operator: Operator, project: str, changes: Mapping[str, int | bool | None]) -> Json:
    """Change settings of a project and return all of them."""
    operator.record("projects.set", project=project, details=dict(changes))
    changed = projects.change_settings(operator.store, project, **changes)
    operator.keys_changed()
    return asdict(changed)


def list_audit(operator: Operator, days: int = 30, action: str = "", limit: int = 100) -> Json:
    """Return the newest entries of the audit log, newest first."""
    since = datetime.now(UTC) - timedelta(days=days)
    found = audit.entries(operator.store, since, action, limit)
    return [{**asdict(each), "time": each.time.isoformat(timespec="seconds")} for each in found]
