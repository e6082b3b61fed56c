"""Budgets: what was spent by whom, who is over, who was refused; and patterns of abuse."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Ask, Window, fact_rows
from gnomon_collector.store.queries.cells import as_float, as_int, as_time
from gnomon_schemas.metrics import Sum, metric

Per: TypeAlias = Literal["project", "user", "company", "model", "service", "prompt"]
BudgetLevel: TypeAlias = Literal["ok", "near", "over"]

DIMENSIONS: Final[Mapping[Per, tuple[str, ...]]] = {
    "project": (),
    "user": ("user_id",),
    "company": ("company_id",),
    "model": ("model",),
    "service": ("service_name",),
    "prompt": ("prompt_name",),
}
CONFIG_DOCUMENT: Final = "config"
"""Name of the document that says what is in force."""

_COLUMNS: Final = (
    "project", "budget", "subject", "per", "state", "is_blocking", "spent", "limit_value", "measure",
    "window_s", "since", "retry_at",
)  # fmt: skip


@dataclass(frozen=True)
class BudgetState:
    """How one subject stands with a budget. See the table ``budget_states``."""

    project: str
    budget: str
    subject: str
    per: Per
    state: BudgetLevel
    is_blocking: bool
    spent: float
    limit_value: float
    measure: str
    window_s: float
    since: datetime
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Denials:
    """How often a subject was refused."""

    project: str
    budget: str
    subject: str
    denials: int
    last: datetime


@dataclass(frozen=True)
class Conduct:
    """What one user, or one address, did in a while.

    Attributes:
        kind: ``user`` or ``address``
        prompts: how many different texts were asked
        usual: median of the calls of all users with any, in the same while
        others: how many users there were
    """

    project: str
    kind: str
    subject: str
    calls: int
    prompts: int
    usual: float
    others: int


def spent(
    store: Store,
    projects: Sequence[str],
    measure: str,
    per: Per,
    filters: Mapping[str, Sequence[str]],
    window: Window,
    least: float = 0.0,
) -> dict[tuple[str, str], float]:
    """Return what each (project, subject) spent in a window, from `least` up. Subjects without a name are left out."""
    ask = Ask(tuple(projects), measure, filters, DIMENSIONS[per])
    facts, bound = fact_rows(ask, window.start, window.end, "calls_per_minute")
    form = metric(measure).form
    assert isinstance(form, Sum)
    subject = DIMENSIONS[per][0] if DIMENSIONS[per] else "''"
    named = "" if per == "project" else f" WHERE {subject} != ''"
    rows = store.query(
        f"SELECT project, {subject} AS subject, toFloat64(sum({form.expression})) AS spent FROM ({facts}){named}"  # noqa: S608
        " GROUP BY project, subject HAVING spent >= {least:Float64} ORDER BY spent DESC LIMIT 200000",
        bound | {"least": least},
    ).rows
    return {(str(project), str(name)): as_float(value) for project, name, value in rows}


def spent_over_time(
    store: Store,
    project: str,
    measure: str,
    per: Per,
    subject: str,
    filters: Mapping[str, Sequence[str]],
    window: Window,
    step_s: int,
) -> list[tuple[datetime, float]]:
    """Return what one subject spent in each step of a window, oldest first."""
    narrowed = dict(filters)
    if DIMENSIONS[per]:
        narrowed[DIMENSIONS[per][0]] = (subject,)
    ask = Ask((project,), measure, narrowed)
    facts, bound = fact_rows(ask, window.start, window.end, "calls_per_minute")
    form = metric(measure).form
    assert isinstance(form, Sum)
    rows = store.query(
        "SELECT toDateTime(intDiv(toUnixTimestamp(time), {step_s:UInt32}) * {step_s:UInt32}, 'UTC') AS at,"  # noqa: S608
        f" toFloat64(sum({form.expression})) FROM ({facts}) GROUP BY at ORDER BY at",
        bound | {"step_s": step_s},
    ).rows
    return [(as_time(row[0]), as_float(row[1])) for row in rows]


def budget_states(store: Store, project: str = "*", *, only: BudgetLevel | None = None) -> list[BudgetState]:
    """Return the subjects that ever came near a limit; ``*`` for all projects."""
    rows = store.query(
        f"SELECT {', '.join(_COLUMNS)} FROM budget_states FINAL"  # noqa: S608
        " WHERE (project = {project:String} OR {project:String} = '*')"
        " AND (state = {state:String} OR {state:String} = '') ORDER BY project, budget, spent DESC LIMIT 100000",
        {"project": project, "state": only or ""},
    ).rows
    return [
        BudgetState(
            str(row[0]),
            str(row[1]),
            str(row[2]),
            cast(Per, row[3]),
            cast(BudgetLevel, row[4]),
            bool(row[5]),
            as_float(row[6]),
            as_float(row[7]),
            str(row[8]),
            as_float(row[9]),
            as_time(row[10]),
            as_time(row[11]) if row[11] is not None else None,
        )
        for row in rows
    ]


def save_budget_states(store: Store, states: Sequence[BudgetState]) -> None:
    """Write states; the newest one of a subject counts."""
    version = time.time_ns()
    rows = [(*(getattr(one, name) for name in _COLUMNS), version) for one in states]
    store.insert_rows("budget_states", [*_COLUMNS, "version"], rows)


def save_denials(
    store: Store, minute: datetime, reporter: str, counted: Mapping[tuple[str, str, str], int]
) -> None:
    """Write how often (project, budget, subject) was refused in a minute, as far as this reporter counted."""
    version = time.time_ns()
    rows = [(*key[:1], minute, *key[1:], count, reporter, version) for key, count in counted.items()]
    columns = ["project", "time", "budget", "subject", "denials", "reporter", "version"]
    store.insert_rows("budget_denials", columns, rows)


def denials(store: Store, project: str, since: datetime) -> list[Denials]:
    """Return who was refused since then, most often first."""
    rows = store.query(
        "SELECT budget, subject, sum(denials) AS times, max(time) FROM budget_denials FINAL"
        " WHERE project = {project:String} AND time >= {since:DateTime('UTC')}"
        " GROUP BY budget, subject ORDER BY times DESC LIMIT 500",
        {"project": project, "since": since},
    ).rows
    return [Denials(project, str(row[0]), str(row[1]), as_int(row[2]), as_time(row[3])) for row in rows]


def conduct(
    store: Store, projects: Sequence[str], end: datetime, length: timedelta, least: int
) -> list[Conduct]:
    """Return what the busiest users and addresses did, those with at least so many calls.

    An address is what a service sends as ``client.address`` or ``gnomon.client.address_hash``.
    """
    rows = store.query(
        """
        SELECT project, kind, subject, calls, prompts, usual, others FROM (
            SELECT project, pair.1 AS kind, pair.2 AS subject, count() AS calls,
                uniq(cityHash64(input_text)) AS prompts,
                median(calls) OVER (PARTITION BY project, kind) AS usual,
                count() OVER (PARTITION BY project, kind) AS others
            FROM (
                SELECT project, input_text, [('user', user_id),
                    ('address', if(mapContains(attributes, 'gnomon.client.address_hash'),
                        attributes['gnomon.client.address_hash'], attributes['client.address']))] AS pairs
                FROM calls
                WHERE project IN {projects:Array(String)} AND start_time >= {start:DateTime64(3, 'UTC')}
                    AND start_time < {end:DateTime64(3, 'UTC')}
            )
            ARRAY JOIN pairs AS pair
            WHERE pair.2 != ''
            GROUP BY project, pair
        )
        WHERE calls >= {least:UInt64}
        ORDER BY calls DESC LIMIT 1000
        """,
        {"projects": list(projects), "start": end - length, "end": end, "least": least},
    ).rows
    return [
        Conduct(
            str(row[0]),
            str(row[1]),
            str(row[2]),
            as_int(row[3]),
            as_int(row[4]),
            as_float(row[5]),
            as_int(row[6]),
        )
        for row in rows
    ]


def save_document(store: Store, name: str, document: str) -> None:
    """Keep a document for the dashboard."""
    store.insert_rows("alert_documents", ["name", "document", "version"], [(name, document, time.time_ns())])


def document(store: Store, name: str) -> str:
    """Return a document, "" when there is none yet."""
    rows = store.query(
        "SELECT document FROM alert_documents FINAL WHERE name = {name:String}", {"name": name}
    ).rows
    return str(rows[0][0]) if rows else ""
