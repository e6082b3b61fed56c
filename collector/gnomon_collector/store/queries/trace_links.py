"""What lies around a trace: who it is of, the traces before and after it, and its spans as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_time

_NEAR: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Whose a trace is, and its neighbours: of its session where it has one, else of its service.

    `previous` and `following` are trace ids; empty where there is none within six hours.
    """

    start: datetime
    session: str
    user: str
    company: str
    prompt: str
    prompt_version: str
    service: str
    previous: str
    following: str


def context_of(store: Store, project: str, trace_id: str) -> TraceContext | None:
    """Return what a trace belongs to, or None when there is no such trace."""
    rows = store.query(
        """
        SELECT min(start_time), count(), anyIf(session_id, session_id != ''), anyIf(user_id, user_id != ''),
            anyIf(company_id, company_id != ''), anyIf(prompt_name, prompt_name != ''),
            anyIf(prompt_version, prompt_version != ''), argMin(service_name, (parent_span_id != '', start_time))
        FROM spans
        WHERE project = {project:String} AND trace_id = {trace_id:String}
        """,
        {"project": project, "trace_id": trace_id},
    ).rows
    start, count, *texts = rows[0]
    if not count:
        return None
    began = as_time(start)
    session, user, company, prompt, version, service = (str(text) for text in texts)
    previous, following = _neighbours(store, project, trace_id, began, session, service)
    return TraceContext(began, session, user, company, prompt, version, service, previous, following)


def _neighbours(
    store: Store, project: str, trace_id: str, began: datetime, session: str, service: str
) -> tuple[str, str]:
    column, value = ("session_id", session) if session else ("service_name", service)
    rows = store.query(
        f"""
        SELECT argMaxIf(trace_id, began, began < {{began:DateTime64(9)}}), argMinIf(trace_id, began, began > {{began:DateTime64(9)}})
        FROM (
            SELECT trace_id, min(start_time) AS began
            FROM spans
            WHERE project = {{project:String}} AND {column} = {{value:String}} AND trace_id != {{trace_id:String}}
                AND start_time >= {{first:DateTime64(9)}} AND start_time < {{last:DateTime64(9)}}
            GROUP BY trace_id
        )
        """,  # noqa: S608 (one of two columns; values are bound)
        {
            "project": project,
            "trace_id": trace_id,
            "value": value,
            "began": began,
            "first": began - _NEAR,
            "last": began + _NEAR,
        },
    ).rows
    return str(rows[0][0]), str(rows[0][1])


def spans_as_json(store: Store, project: str, trace_id: str, span_id: str = "") -> Iterator[bytes]:
    """Yield the spans of a trace, or one of them, as JSON Lines: every column, as stored."""
    one = "AND span_id = {span_id:String}" if span_id else ""
    parameters: dict[str, object] = {"project": project, "trace_id": trace_id}
    return store.query_text(
        f"""
        SELECT * FROM spans
        WHERE project = {{project:String}} AND trace_id = {{trace_id:String}} {one}
        ORDER BY start_time, span_id
        LIMIT 1 BY span_id
        LIMIT 20000
        SETTINGS output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'
        """,  # noqa: S608 (constants of this module)
        parameters | ({"span_id": span_id} if span_id else {}),
        "JSONEachRow",
    )
