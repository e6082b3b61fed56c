"""Two projects in every table: the ordinary one of the seed, and a rival's, all of whose texts are canaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.dashboard import seed

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

PROJECT: Final = "rival"
CANARY: Final = "canary7f3a"
"""Is in every text of the rival's."""
TRACE_ID: Final = "c0ffee" * 5 + "c0"
SPAN_ID: Final = "c0ffee" * 2 + "c0ff"

_TABLES: Final = """
SELECT table, groupArray((name, type))
FROM (
    SELECT table, name, type FROM system.columns
    WHERE database = {database:String} AND default_kind = '' ORDER BY table, position
)
WHERE table IN (
    SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'
)
GROUP BY table HAVING has(groupArray(name), 'project') ORDER BY table
"""
# What must stay as it is for a row to be read at all.
_KEPT: Final = frozenset(
    {
        *("kind", "operation", "dialect", "source", "status_code", "state", "status", "unit", "severity"),
        *("usage_source", "cache_status", "metric", "per", "measure", "evaluator_version", "scope", "role"),
        *("duplicate_of", "language", "provider", "condition", "part"),
    }
)


def add(store: Store) -> list[str]:
    """Give the rival rows in every table with a project, copies of the seed's or made up; return the tables."""
    filled = []
    for table, columns in store.query(_TABLES, {"database": store.database}).rows:
        names = [(str(name), str(kind)) for name, kind in columns]  # type: ignore[attr-defined]
        if store.query(f"SELECT 1 FROM {table} WHERE project = '{seed.PROJECT}' LIMIT 1").rows:
            chosen = [f"{_copied(name, kind)} AS `{name}`" for name, kind in names]
            source = f" FROM (SELECT * FROM {table} WHERE project = '{seed.PROJECT}' LIMIT 400) AS t"
        else:
            chosen, source = [f"{_made_up(name, kind)} AS `{name}`" for name, kind in names], ""
        listed = ", ".join(f"`{name}`" for name, _ in names)
        store.command(f"INSERT INTO {table} ({listed}) SELECT {', '.join(chosen)}{source}")
        filled.append(str(table))
    return filled


def _copied(name: str, kind: str) -> str:
    """Return SQL for a column of a copied row: its texts become canaries, JSON stays JSON."""
    if name == "project":
        return f"'{PROJECT}'"
    if name == "trace_id":
        return f"if(t.trace_id = '', '', '{TRACE_ID}')"
    if name in _KEPT or "span_id" in name:
        return f"t.`{name}`"
    if kind in ("String", "LowCardinality(String)"):
        json = f"replaceAll(t.`{name}`, ':\"', ':\"{CANARY} ')"
        text = f"if(substring(t.`{name}`, 1, 1) IN ('[', '{{'), {json}, concat('{CANARY} ', t.`{name}`))"
        return f"if(t.`{name}` = '', '', {text})"
    if kind in ("Array(String)", "Array(LowCardinality(String))"):
        return f"arrayMap(x -> concat('{CANARY} ', x), t.`{name}`)"
    if kind.startswith("Map(") and kind.endswith("String)"):
        return f"mapApply((k, v) -> (k, concat('{CANARY} ', v)), t.`{name}`)"
    return f"t.`{name}`"


def _made_up(name: str, kind: str) -> str:
    """Return SQL for a column of a row that is made up."""
    if name == "project":
        return f"'{PROJECT}'"
    if name == "trace_id":
        return f"'{TRACE_ID}'"
    if "DateTime" in kind:
        gone = name in ("deleted_at", "ended_at", "revoked_at", "resolved_at", "expires_at")
        return "NULL" if gone and "Nullable" in kind else "now() - 60"
    if kind in ("String", "LowCardinality(String)"):
        return f"'{CANARY} {name}'"
    if kind in ("Array(String)", "Array(LowCardinality(String))"):
        return f"['{CANARY} {name}']"
    if kind.startswith("Map(") and kind.endswith("String)"):
        return f"map('{name}', '{CANARY} {name}')"
    return f"defaultValueOfTypeName('{kind.replace(chr(39), chr(92) + chr(39))}')"
