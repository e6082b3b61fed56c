"""What is set for each project: how long its data is kept, how much it may send, whether it is masked."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from typing import cast

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.engine import Store

_SETTINGS = """
SELECT project, span_days, content_days, max_spans_per_minute, max_bytes_per_minute, mask_content
FROM project_settings FINAL
ORDER BY project
"""
_COLUMNS = (
    "project",
    "span_days",
    "content_days",
    "max_spans_per_minute",
    "max_bytes_per_minute",
    "mask_content",
    "version",
)
_MAX_DAYS = 65_535
_Row = tuple[str, "int | None", "int | None", "int | None", "int | None", bool]


@dataclass(frozen=True)
class ProjectSettings:
    """The settings of a project; None is "no limit".

    Attributes:
        span_days: spans, scores and logs older than this are deleted, and refused when they arrive
        content_days: texts older than this are deleted; times, tokens and cost stay
        max_spans_per_minute, max_bytes_per_minute: beyond this the project's senders get 429
        mask_content: personal data is masked before anything is written
    """

    project: str
    span_days: int | None = None
    content_days: int | None = None
    max_spans_per_minute: int | None = None
    max_bytes_per_minute: int | None = None
    mask_content: bool = False


SETTING_NAMES = tuple(field.name for field in fields(ProjectSettings) if field.name != "project")


def project_settings(store: Store) -> dict[str, ProjectSettings]:
    """Return the settings by project, of those that have any."""
    rows = store.query(_SETTINGS).rows
    return {str(row[0]): ProjectSettings(*cast(_Row, row)) for row in rows}


def change_settings(store: Store, project: str, **changes: int | bool | None) -> ProjectSettings:
    """Set some of a project's settings and return all of them.

    Raises:
        BadRequest: there is no such setting, or a value is out of range
    """
    unknown = set(changes) - set(SETTING_NAMES)
    if unknown:
        raise BadRequest(f"There is no project setting {sorted(unknown)[0]!r}: {', '.join(SETTING_NAMES)}.")
    changed = replace(project_settings(store).get(project, ProjectSettings(project)), **changes)  # type: ignore[arg-type]
    _check(changed)
    store.insert_rows("project_settings", _COLUMNS, [(*asdict(changed).values(), time.time_ns())])
    return changed


def _check(settings: ProjectSettings) -> None:
    for name in ("span_days", "content_days"):
        days = getattr(settings, name)
        if days is not None and not 1 <= days <= _MAX_DAYS:
            raise BadRequest(f"{name} must be between 1 and {_MAX_DAYS}, or none.")
    for name in ("max_spans_per_minute", "max_bytes_per_minute"):
        limit = getattr(settings, name)
        if limit is not None and not 1 <= limit < 2**32:
            raise BadRequest(f"{name} must be between 1 and {2**32 - 1}, or none.")
