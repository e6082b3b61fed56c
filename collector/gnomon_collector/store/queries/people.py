"""Who calls: users, sessions and companies, with what they spend and whether they are content."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.people_per_day import Kind as Kind
from gnomon_collector.store.queries.cells import as_float, as_int, as_time, optional_float
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.person_rows import PersonRows, person_rows
from gnomon_collector.store.queries.trace_columns import IS_CALL
from gnomon_collector.store.queries.traces import merge_ranges
from gnomon_collector.store.queries.usage import Totals
from gnomon_collector.store.trace_summaries import LONGEST_PAUSE

Order: TypeAlias = Literal[
    "name", "user", "sessions", "requests", "calls", "cost", "tokens", "errors", "first", "last"
]

COLUMNS: Final[dict[Kind, str]] = {"user": "user_id", "session": "session_id", "company": "company_id"}
ORDERS: Final[dict[Order, str]] = {
    "name": "person",
    "user": "any(user_id)",
    "sessions": "{sessions}",
    "requests": "{requests}",
    "calls": "sum(calls)",
    "cost": "sum(ifNull(cost_usd, 0))",
    "tokens": "sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0))",
    "errors": "sum(failed_calls)",
    "first": "min(start_time)",
    "last": "max(last_start_time)",
}
_FIGURES: Final[tuple[Order, ...]] = (
    *("user", "sessions", "requests", "calls", "errors", "tokens", "cost", "first", "last"),
)
_PERSON: Final[dict[Kind, str]] = COLUMNS | {"company": "company"}
_FEW: Final[tuple[Kind, ...]] = ("company",)
"""Kinds of which there are so few that all figures of all of them cost less than to find first who is shown."""
_LONGEST_TEXT: Final = 6000
_MOST_TURNS: Final = 100


@dataclass(frozen=True, slots=True)
class Person:
    """A user, a session or a company.

    Attributes:
        requests: traces.
        user: of a session, its first user; else empty.
        satisfaction: share of good ratings (0.5 or more) by users, of `ratings`; None without any.
    """

    value: str
    user: str
    sessions: int
    requests: int
    calls: int
    errors: int
    tokens: int
    cost_usd: float
    first_seen: datetime
    last_seen: datetime
    satisfaction: float | None = None
    ratings: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """The calls of a user, session or company in one bucket: `totals` without times to the first token and caches."""

    time: datetime
    totals: Totals


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session, as a chat shows it.

    Attributes:
        ratings: names and values of the user's and reviewers' scores.
    """

    trace_id: str
    time: datetime
    question: str
    answer: str
    status: str
    error_type: str
    model: str
    duration_ms: float
    cost_usd: float | None
    session: str
    user: str
    ratings: tuple[tuple[str, float], ...] = ()


def people(
    store: Store,
    scope: Scope,
    window: Window,
    kind: Kind,
    *,
    order: Order = "cost",
    ascending: bool = False,
    text: str = "",
    limit: int = 80,
    offset: int = 0,
) -> list[Person]:
    """Return users, sessions or companies by what their calls did in a window.

    Args:
        ascending: the least first.
        text: kept are those whose id has this text in it, upper and lower case alike.
    """
    source = person_rows(store, scope, window, by_day=kind)
    matching = (
        f"{_PERSON[kind]} != ''"
        f" AND ({{text:String}} = '' OR positionCaseInsensitiveUTF8({_PERSON[kind]}, {{text:String}}) > 0)"
    )
    ordered = (
        f"ORDER BY {_of_rows(_figure(order, kind), source)} {'ASC' if ascending else 'DESC'}, person"
        " LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    )
    bound: Parameters = {"text": text, "limit": limit, "offset": offset}
    if kind in _FEW:
        found = _figures(store, source, kind, matching, bound, ordered)
        values = list(found)
    else:
        values = _ranked(store, source, kind, matching, bound, ordered)
        among = f"{_PERSON[kind]} IN {{values:Array(String)}}"
        found = _figures(store, source, kind, among, {"values": values}) if values else {}
    ratings = _satisfaction(store, scope, window, kind, values)
    return [_rated(found[value], ratings.get(value)) for value in values if value in found]


def _ranked(
    store: Store, source: PersonRows, kind: Kind, matching: str, bound: Parameters, ordered: str
) -> list[str]:
    """Return who is on the page: found by what is sorted by, nothing else is read of the thousands not shown."""
    rows = store.query(
        f"SELECT {_PERSON[kind]} AS person FROM ({source.sql}) WHERE {matching} GROUP BY person {ordered}",  # noqa: S608 (columns and orders are constants, values are bound)
        source.parameters | bound,
    ).rows
    return [str(value) for (value,) in rows]


def _figures(
    store: Store, source: PersonRows, kind: Kind, matching: str, bound: Parameters, ordered: str = ""
) -> dict[str, Person]:
    sums = ", ".join(_of_rows(_figure(one, kind), source) for one in _FIGURES)
    rows = store.query(
        f"SELECT {_PERSON[kind]} AS person, {sums} FROM ({source.sql}) WHERE {matching} GROUP BY person {ordered}",  # noqa: S608 (as above)
        source.parameters | bound,
    ).rows
    return {str(row[0]): _person(row) for row in rows}


def _of_rows(sql: str, source: PersonRows) -> str:
    return sql.format(requests=source.requests, sessions=source.sessions)


def _figure(one: Order, kind: Kind) -> str:
    """The SQL of a figure; what is known of its kind, or not shown, is not read."""
    # no literals: to sort by 1 would be to sort by the first column
    if one == "user" and kind != "session":
        return "toString('')"
    return "toUInt8(1)" if one == "sessions" and kind == "session" else ORDERS[one]


def activity(store: Store, scope: Scope, window: Window, kind: Kind, value: str) -> list[Activity]:
    """Return what the calls of a user, session or company did in each bucket of a window, in order of time."""
    source = person_rows(store, scope, window)
    rows = store.query(
        f"""
        SELECT toStartOfInterval(start_time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, sum(calls),
            sum(failed_calls), sum(cancelled_calls), sum(ifNull(input_tokens, 0)), sum(ifNull(output_tokens, 0)),
            sum(ifNull(cost_usd, 0)), sum(calls_with_cost), sum(calls_ms)
        FROM ({source.sql})
        WHERE {_PERSON[kind]} = {{value:String}}
        GROUP BY bucket
        ORDER BY bucket
        """,  # noqa: S608 (as above)
        source.parameters | {"step": window.step_s, "value": value},
    ).rows
    return [Activity(as_time(row[0]), _totals(row)) for row in rows]


def _totals(row: tuple[object, ...]) -> Totals:
    _, calls, errors, cancelled, tokens_in, tokens_out, cost, priced, duration = row
    return Totals(
        calls=as_int(calls),
        ok=as_int(calls) - as_int(errors) - as_int(cancelled),
        errors=as_int(errors),
        cancelled=as_int(cancelled),
        input_tokens=as_int(tokens_in),
        output_tokens=as_int(tokens_out),
        cost_usd=as_float(cost),
        priced=as_int(priced),
        duration_ms=as_float(duration),
    )


def _satisfaction(
    store: Store, scope: Scope, window: Window, kind: Kind, values: list[str]
) -> dict[str, tuple[float, int]]:
    """Return the share of good ratings by users, and their number, of each of some people who have any."""
    if not values:
        return {}
    where = """
            WHERE project = {project:String} AND source = 'user' AND value IS NOT NULL AND trace_id != ''
                AND created_at >= {start:DateTime64(9)}"""
    bound = {"project": scope.project, "start": window.start}
    if not store.query(f"SELECT 1 FROM scores {where} LIMIT 1", bound).rows:  # noqa: S608 (a constant)
        return {}  # the traces of all of them would be read to join with nothing
    source = person_rows(store, scope, window)
    rated = f"""
            SELECT trace_id, value FROM scores FINAL{where}"""  # noqa: S608 (as above)
    rows = store.query(
        f"""
        SELECT seen.person, countIf(rated.value >= 0.5) / count(), count()
        FROM ({rated}
        ) AS rated
        INNER JOIN (
            SELECT trace_id, any({_PERSON[kind]}) AS person
            FROM ({source.sql})
            WHERE {_PERSON[kind]} IN {{values:Array(String)}} AND trace_id IN (SELECT trace_id FROM ({rated}))
            GROUP BY trace_id
        ) AS seen ON rated.trace_id = seen.trace_id
        GROUP BY seen.person
        """,  # noqa: S608 (as above)
        source.parameters | bound | {"values": values},
    ).rows
    return {str(person): (as_float(share), as_int(n)) for person, share, n in rows}


def turns(
    store: Store, scope: Scope, window: Window, kind: Kind, value: str, *, newest_first: bool = False
) -> list[Turn]:
    """Return the requests of a user, session or company, at most 100: question, answer, how they went.

    Question and answer are those of the entry span, or of the last model call where that has none; bounded to
    6,000 characters each.
    """
    latest = _requests(store, scope, window, kind, value, newest_first=newest_first)
    if not latest:
        return []
    where, parameters = _spans(scope, window)
    ranges = merge_ranges([(first - LONGEST_PAUSE, last + LONGEST_PAUSE) for _, first, last in latest])
    parameters["ids"] = [trace_id for trace_id, _, _ in latest]
    for index, (first, last) in enumerate(ranges):
        parameters |= {f"a{index}": first, f"b{index}": last}
    within = " OR ".join(
        f"start_time BETWEEN {{a{index}:DateTime64(9)}} AND {{b{index}:DateTime64(9)}}"
        for index in range(len(ranges))
    )
    rows = store.query(
        f"""
        SELECT trace_id, min(start_time) AS began, {_entry_or_call("input_text")}, {
            _entry_or_call("output_text")
        },
            multiIf(countIf(status = 'error' AND parent_span_id = '') > 0, 'error', countIf(status = 'cancelled') > 0, 'cancelled', 'ok'),
            anyIf(error_type, error_type != ''), anyLastIf(if(response_model != '', response_model, request_model), {
            IS_CALL
        }),
            (max(toUnixTimestamp64Nano(start_time) + toInt64(duration_ns)) - min(toUnixTimestamp64Nano(start_time))) / 1e6,
            sumOrNullIf(cost_usd, {
            IS_CALL
        }), anyIf(session_id, session_id != ''), anyIf(user_id, user_id != '')
        FROM spans
        PREWHERE trace_id IN {{ids:Array(String)}}
        WHERE {where} AND ({within})
        GROUP BY trace_id
        ORDER BY began {"DESC" if newest_first else "ASC"}, trace_id
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    found = [_turn(row) for row in rows]
    ratings = _ratings(store, scope, [one.trace_id for one in found])
    return [replace(one, ratings=tuple(ratings.get(one.trace_id, ()))) for one in found]


def _requests(
    store: Store, scope: Scope, window: Window, kind: Kind, value: str, *, newest_first: bool
) -> list[tuple[str, datetime, datetime]]:
    """Return the first or latest traces with a span of a person: their ids, and when those spans start (UTC).

    The latest part of the window is looked at first, so that who asks much is found soon.
    """
    found: list[tuple[str, datetime, datetime]] = []
    for part in window.latest_parts if newest_first else (window,):
        where, parameters = _spans(scope, part)
        rows = store.query(
            f"""
            SELECT trace_id, min(start_time) AS first, max(start_time)
            FROM spans
            WHERE {where} AND {COLUMNS[kind]} = {{value:String}}
            GROUP BY trace_id
            ORDER BY first {"DESC" if newest_first else "ASC"}, trace_id
            LIMIT {_MOST_TURNS}
            """,  # noqa: S608 (as above)
            parameters | {"value": value},
        ).rows
        found = [(str(trace_id), as_time(first), as_time(last)) for trace_id, first, last in rows]
        if len(found) == _MOST_TURNS:
            break
    return found


def _entry_or_call(column: str) -> str:
    """The text of the entry span, else of the last model call."""
    entry = f"argMin({column}, (parent_span_id != '', start_time))"
    call = f"argMaxIf({column}, start_time, {IS_CALL} AND {column} != '')"
    return f"substringUTF8(if({entry} != '', {entry}, {call}), 1, {_LONGEST_TEXT})"


def _ratings(store: Store, scope: Scope, trace_ids: list[str]) -> dict[str, list[tuple[str, float]]]:
    if not trace_ids:
        return {}
    rows = store.query(
        """
        SELECT trace_id, name, value FROM scores FINAL
        WHERE project = {project:String} AND trace_id IN {ids:Array(String)} AND value IS NOT NULL
        ORDER BY created_at, score_id
        LIMIT 1000
        """,
        {"project": scope.project, "ids": trace_ids},
    ).rows
    found: dict[str, list[tuple[str, float]]] = {}
    for trace_id, name, value in rows:
        found.setdefault(str(trace_id), []).append((str(name), as_float(value)))
    return found


def _person(row: tuple[object, ...]) -> Person:
    value, user, sessions, requests, calls, errors, tokens, cost, first, last = row
    return Person(
        str(value),
        str(user),
        as_int(sessions),
        as_int(requests),
        as_int(calls),
        as_int(errors),
        as_int(tokens),
        as_float(cost),
        as_time(first),
        as_time(last),
    )


def _rated(person: Person, rating: tuple[float, int] | None) -> Person:
    return person if rating is None else replace(person, satisfaction=rating[0], ratings=rating[1])


def _turn(row: tuple[object, ...]) -> Turn:
    trace_id, began, question, answer, status, error_type, model, duration, cost, session, user = row
    return Turn(
        str(trace_id),
        as_time(began),
        str(question),
        str(answer),
        str(status),
        str(error_type),
        str(model),
        as_float(duration),
        optional_float(cost),
        str(session),
        str(user),
    )


def _spans(scope: Scope, window: Window) -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(Scope(scope.project))
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    return " AND ".join(conditions), parameters | {"start": window.start, "end": window.end}
