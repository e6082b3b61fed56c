"""The job that deletes what projects do not want to keep any longer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.jobs import Job, JobParts
from gnomon_collector.store import audit
from gnomon_collector.store.engine import Store
from gnomon_collector.store.projects import ProjectSettings, project_settings
from gnomon_collector.store.retention import delete_expired, delete_expired_content

_log = logging.getLogger(__name__)
_ACTOR: Final = "retention"


class RetentionJob:
    """Deletes by project, once an hour."""

    name = "retention"
    interval_s = 3600.0

    def __init__(self, store: Store) -> None:
        self._store = store

    def run_once(self, now: datetime) -> None:
        """Delete what is older than its project's settings allow at `now` (UTC)."""
        for settings in project_settings(self._store).values():
            deleted = expire(self._store, settings, now)
            if any(deleted.values()):
                _log.info("Retention of project %s: %s", settings.project, deleted)
                audit.record(self._store, _ACTOR, "expire", project=settings.project, details=deleted)

    def close(self) -> None:
        """Nothing is held."""


def expire(store: Store, settings: ProjectSettings, now: datetime) -> dict[str, int]:
    """Delete what a project does not keep any longer; return how many spans and texts went.

    The limit is a full day, so that whole partitions go and one run a day does the work.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spans = texts = 0
    if settings.span_days is not None:
        spans = delete_expired(store, settings.project, today - timedelta(days=settings.span_days))
    if settings.content_days is not None:
        before = today - timedelta(days=settings.content_days)
        texts = delete_expired_content(store, settings.project, before)
    return {"spans": spans, "texts": texts}


def create_retention_jobs(parts: JobParts) -> Sequence[Job]:
    """Return the job, for `gnomon_collector.serve`."""
    return [RetentionJob(parts.store)]
