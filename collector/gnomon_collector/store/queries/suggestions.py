"""Values that a field of the query language really has, most used first."""

from datetime import timedelta
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.trace_language import NAMES

MOST: Final = 12
_LONGEST: Final = timedelta(days=1)
"""Fields that no rollup has are looked up in the last day of a window."""

_OF_ROLLUP: Final = {
    "model": "model",
    "service": "service_name",
    "environment": "environment",
    "kind": "kind",
    "provider": "provider",
    "prompt": "prompt_name",
    "prompt_version": "prompt_version",
    "status": "status",
    "error_type": "error_type",
    "cache_status": "cache_status",
}
_OF_SPANS: Final = {
    "user": "user_id",
    "session": "session_id",
    "company": "company_id",
    "release": "release",
    "language": "language",
    "finish_reason": "finish_reason",
    "name": "name",
    "tags": "arrayJoin(tags)",
    "fallback_of": "fallback_of",
}


def values(store: Store, scope: Scope, window: Window, field: str, begin: str = "") -> list[str]:
    """Return at most twelve values of a field that begin so; none for a field that is a number or unknown."""
    if field.startswith("score"):
        return _score_names(store, scope, begin)
    name = NAMES.get(field, field)
    if name in _OF_ROLLUP:
        return _values(
            store, scope, window, f"{window.table} FINAL", _OF_ROLLUP[name], "sum(calls)", "time", begin
        )
    if name in _OF_SPANS:
        last_day = Window(max(window.start, window.end - _LONGEST), window.end, window.step_s)
        return _values(store, scope, last_day, "spans", _OF_SPANS[name], "count()", "start_time", begin)
    return []


def _values(
    store: Store, scope: Scope, window: Window, table: str, column: str, used: str, time: str, begin: str
) -> list[str]:
    rows = store.query(
        f"""
        SELECT {column} AS value, {used} AS used
        FROM {table}
        WHERE project = {{project:String}} AND {time} >= {{start:DateTime}} AND {time} < {{end:DateTime}}
            AND startsWith(lowerUTF8(toString(value)), lowerUTF8({{begin:String}})) AND value != ''
        GROUP BY value
        ORDER BY used DESC, value
        LIMIT {MOST}
        """,  # noqa: S608 (tables and columns are constants, values are bound)
        {"project": scope.project, "start": window.start, "end": window.end, "begin": begin},
    ).rows
    return [str(value) for value, _ in rows]


def _score_names(store: Store, scope: Scope, begin: str) -> list[str]:
    rows = store.query(
        f"""
        SELECT name, count() AS used FROM scores FINAL
        WHERE project = {{project:String}} AND startsWith(name, {{begin:String}})
        GROUP BY name ORDER BY used DESC, name LIMIT {MOST}
        """,  # noqa: S608 (as above)
        {"project": scope.project, "begin": begin},
    ).rows
    return [str(name) for name, _ in rows]
