"""Deleting what is older than a project keeps it: whole rows, or their texts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from gnomon_collector.store import people_per_day
from gnomon_collector.store.content_tables import CONTENT_TABLES, ContentTable
from gnomon_collector.store.engine import Store

# What people wrote and models answered. The numbers beside it stay.
_CONTENT: Final = (
    "input_text = '', output_text = '', retrieval_query = '', documents = [], status_message = '',"
    " attributes = map(), attribute_types = [], metadata = map(), events = [],"
    " data_flags = arrayPushBack(data_flags, 'content_expired')"
)
_EXPIRED: Final = "project = {project:String} AND start_time < {before:DateTime64(9, 'UTC')}"
_WITH_CONTENT: Final = f"{_EXPIRED} AND NOT has(data_flags, 'content_expired')"

_SPANS: Final = next(one for one in CONTENT_TABLES if one.name == "spans")
# Rollups stay: they hold no content.
_BESIDE_SPANS: Final = tuple(one for one in CONTENT_TABLES if one is not _SPANS)
_CONTENT_ALONE: Final = tuple(one for one in _BESIDE_SPANS if not one.has_figures)
_TEXTS_SUMMARISED: Final = f"{_EXPIRED} AND (input != '' OR output != '')"
_SYNC: Final = {"mutations_sync": 2}


def delete_expired(store: Store, project: str, before: datetime) -> int:
    """Delete what a project has of before a time (UTC): spans, and what belongs to them; return how many spans.

    The rollups stay, so charts of old times keep their numbers.
    """
    parameters = {"project": project, "before": before}
    count = int(str(store.query(f"SELECT count() FROM spans WHERE {_EXPIRED}", parameters).rows[0][0]))  # noqa: S608
    if count:
        store.command(f"ALTER TABLE spans DELETE WHERE {_EXPIRED}", parameters, settings=_SYNC)
    _delete_rows(store, _BESIDE_SPANS, parameters)
    people_per_day.forget(store, project, before)
    return count


def delete_expired_content(store: Store, project: str, before: datetime) -> int:
    """Delete the texts of a project from before a time (UTC), and rows that are nothing without them.

    Returns:
        how many spans had a text
    """
    parameters = {"project": project, "before": before}
    count = int(str(store.query(f"SELECT count() FROM spans WHERE {_WITH_CONTENT}", parameters).rows[0][0]))  # noqa: S608
    if count:
        store.command(
            f"ALTER TABLE spans UPDATE {_CONTENT} WHERE {_WITH_CONTENT}", parameters, settings=_SYNC
        )
    if store.query(f"SELECT 1 FROM trace_summaries WHERE {_TEXTS_SUMMARISED} LIMIT 1", parameters).rows:  # noqa: S608
        store.command(
            f"ALTER TABLE trace_summaries UPDATE input = '', output = '' WHERE {_TEXTS_SUMMARISED}",
            parameters,
            settings=_SYNC,
        )
    _delete_rows(store, _CONTENT_ALONE, parameters)
    return count


def _delete_rows(store: Store, tables: Sequence[ContentTable], parameters: Mapping[str, object]) -> None:
    for table in tables:
        condition = _EXPIRED.replace(_SPANS.time, table.time)
        if store.query(f"SELECT 1 FROM {table.name} WHERE {condition} LIMIT 1", parameters).rows:  # noqa: S608
            store.command(f"ALTER TABLE {table.name} DELETE WHERE {condition}", parameters, settings=_SYNC)
