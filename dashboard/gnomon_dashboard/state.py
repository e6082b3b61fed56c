"""The state of a view, and its form in the URL's query string. Pure.

Everything that decides what a page shows is here, so a link reproduces the view. Values that make no sense
are dropped: a link from elsewhere must not break a page.

=============  ===============================================================================
``project``    the project; absent: the first one
``range``      a preset such as ``1h``; absent: the default one
``from, to``   a custom range, ISO 8601; wins over ``range``
``refresh``    seconds between live refreshes; 0: off; absent: the default
``service``, ``env``, ``model``   filters, each any number of times
``rows``       Traces: ``traces`` or ``calls``
``q``          Traces: a query (`gnomon_collector.store.queries.trace_language`)
``sort``       Traces: a column id, ``-`` in front for descending
``filter``     Traces: the grid's filter model as JSON
``cols``       Traces: ids of the visible columns, comma-separated
``span``       Trace: the selected span
others         options of one page (`ViewState.option`), such as ``by`` for the dimension of a breakdown
=============  ===============================================================================
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, urlencode

from gnomon_collector.store.queries import trace_language
from gnomon_collector.store.queries.filters import Scope, Window, floor_time
from gnomon_collector.store.queries.trace_columns import Rows, column
from gnomon_collector.store.queries.trace_filters import NUMBER_SQL, TEXT_SQL, ColumnFilter, Condition
from gnomon_collector.store.queries.traces import TraceQuery

PRESETS: Final[Mapping[str, timedelta]] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
DEFAULT_RANGE: Final = "1h"
REFRESHES_S: Final = (0, 5, 10, 30, 60)
DEFAULT_REFRESH_S: Final = 10

STEPS_S: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_BUCKETS: Final = 125
_HOURS_FROM: Final = timedelta(hours=36)
"""Longer ranges are read from the hourly rollup."""

_LONGEST: Final = timedelta(days=3660)
_LONGEST_TEXT: Final = 500
_MOST_VALUES: Final = 100
_LONGEST_QUERY: Final = 50_000
_MOST_FIELDS: Final = 1000
_MOST_OPTIONS: Final = 20
_OPTION_NAME: Final = re.compile(r"[a-z][a-z_]{0,23}")
_NAMES: Final = frozenset(
    {
        *("project", "range", "from", "to", "refresh", "service", "env", "model"),
        *("rows", "q", "sort", "filter", "cols", "span"),
    }
)


@dataclass(frozen=True, slots=True)
class ViewState:
    """What a page shows. `start` and `end` (UTC) are set for a custom range only."""

    project: str = ""
    range: str = DEFAULT_RANGE
    start: datetime | None = None
    end: datetime | None = None
    refresh_s: int = DEFAULT_REFRESH_S
    services: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    rows: Rows = "traces"
    text: str = ""
    sort: str = "-time"
    filter: str = ""
    columns: tuple[str, ...] = ()
    span: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, default: str = "", allowed: Collection[str] = ()) -> str:
        """Return a page's own option from the URL, `default` where it is not set or not `allowed`."""
        value = dict(self.options).get(name, default)
        return value if not allowed or value in allowed else default

    def with_options(self, **values: str) -> "ViewState":
        """Return the view with options set; an empty value removes one."""
        merged = {**dict(self.options), **values}
        return replace(self, options=tuple(sorted((name, value) for name, value in merged.items() if value)))

    @property
    def is_custom(self) -> bool:
        return self.start is not None and self.end is not None


def parse(search: str | None) -> ViewState:
    """Return the state that a query string (with or without ``?``) stands for. Never raises."""
    values = _fields(search or "")
    start, end = _custom(values)
    rows: Rows = "calls" if _last(values, "rows") == "calls" else "traces"
    return ViewState(
        project=_last(values, "project"),
        range=_preset(_last(values, "range")),
        start=start,
        end=end,
        refresh_s=_refresh(_last(values, "refresh")),
        services=_all(values, "service"),
        environments=_all(values, "env"),
        models=_all(values, "model"),
        rows=rows,
        text=_last(values, "q")[:_LONGEST_TEXT],
        sort=_sort(_last(values, "sort"), rows),
        filter=_last(values, "filter"),
        columns=tuple(name for name in _last(values, "cols").split(",") if column(rows, name)),
        span=_last(values, "span"),
        options=_options(values),
    )


def to_query(state: ViewState) -> str:
    """Return the query string of a state, ``?`` included; empty for the default state."""
    default = ViewState()
    pairs: list[tuple[str, str]] = [("project", state.project)]
    if state.start and state.end:
        pairs += [("from", _iso(state.start)), ("to", _iso(state.end))]
    elif state.range != default.range:
        pairs.append(("range", state.range))
    if state.refresh_s != default.refresh_s:
        pairs.append(("refresh", str(state.refresh_s)))
    pairs += [("service", value) for value in state.services]
    pairs += [("env", value) for value in state.environments]
    pairs += [("model", value) for value in state.models]
    pairs += [("rows", state.rows if state.rows != default.rows else ""), ("q", state.text)]
    pairs += [("sort", state.sort if state.sort != default.sort else ""), ("filter", state.filter)]
    pairs += [("cols", ",".join(state.columns)), ("span", state.span)]
    pairs += state.options
    query = urlencode([(name, value) for name, value in pairs if value])
    return f"?{query}" if query else ""


def scope(state: ViewState, project: str) -> Scope:
    """Return what the queries of a view look at."""
    return Scope(project, state.services, state.environments, state.models)


def window(state: ViewState, now: datetime) -> Window:
    """Return the window of a view.

    It starts with a whole row of the rollup it is read from, so that every figure covers the same time; a
    preset's end is `now`, inside the last, still open bucket.
    """
    if state.start and state.end:
        start, end = state.start, state.end
    else:
        start, end = now - PRESETS[state.range], now
    step = step_s(end - start)
    return Window(floor_time(start, 3600 if step % 3600 == 0 else 60), end, step)


def step_s(length: timedelta) -> int:
    """Return the seconds of a bucket for a range of `length`: at most 125 buckets."""
    steps = [step for step in STEPS_S if step % 3600 == 0] if length > _HOURS_FROM else STEPS_S
    fitting = (step for step in steps if length.total_seconds() / step <= _MOST_BUCKETS)
    return next(fitting, STEPS_S[-1] * math.ceil(length.total_seconds() / STEPS_S[-1] / _MOST_BUCKETS))


def trace_query(state: ViewState, project: str, now: datetime) -> TraceQuery:
    """Return what the Traces page asks the store for. The window's start is not widened to the hour.

    Raises:
        QuerySyntaxError: the query bar's text cannot be read.
    """
    asked = trace_language.parse(state.text, state.rows)
    start = state.start or floor_time(now - PRESETS[state.range], 60)
    return TraceQuery(
        scope=scope(state, project),
        start=start,
        end=state.end or now,
        rows=state.rows,
        sort=state.sort.removeprefix("-"),
        descending=state.sort.startswith("-"),
        filters=(*column_filters(state.filter, state.rows), *asked.filters),
        texts=asked.texts,
        scores=asked.scores,
    )


def column_filters(text: str, rows: Rows) -> tuple[ColumnFilter, ...]:
    """Return AG Grid's filter model, as JSON, typed. What is unknown or malformed is left out."""
    try:
        model = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return ()
    if not isinstance(model, dict):
        return ()
    filters = (_column_filter(str(name), item) for name, item in model.items() if column(rows, str(name)))
    return tuple(one for one in filters if one is not None and one.conditions)


def equals_filter(column_id: str, value: str) -> str:
    """Return the grid's filter model, as JSON, for rows with exactly `value` in a text column."""
    model = {column_id: {"filterType": "text", "type": "equals", "filter": value}}
    return json.dumps(model, ensure_ascii=False, separators=(",", ":"))


def _column_filter(name: str, item: object) -> ColumnFilter | None:
    if not isinstance(item, dict):
        return None
    several = item.get("conditions")
    parts = several if isinstance(several, list) else [item]
    conditions = tuple(one for part in parts[:10] if (one := _condition(part)) is not None)
    return ColumnFilter(name, conditions, any_of=item.get("operator") == "OR")


def _condition(part: object) -> Condition | None:
    if not isinstance(part, dict):
        return None
    operator, value, upper = part.get("type"), part.get("filter"), part.get("filterTo")
    if operator not in TEXT_SQL and operator not in NUMBER_SQL:
        return None
    return Condition(operator, _operand(value), _number(upper))


def _operand(value: object) -> str | float | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else _number(value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _fields(search: str) -> dict[str, list[str]]:
    if len(search) > _LONGEST_QUERY:
        return {}
    try:
        return parse_qs(search.removeprefix("?"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}


def _last(values: Mapping[str, list[str]], name: str) -> str:
    return values[name][-1] if values.get(name) else ""


def _all(values: Mapping[str, list[str]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value[:_LONGEST_TEXT] for value in values.get(name, [])[:_MOST_VALUES]))


def _options(values: Mapping[str, list[str]]) -> tuple[tuple[str, str], ...]:
    names = [name for name in values if name not in _NAMES and _OPTION_NAME.fullmatch(name)]
    return tuple(sorted((name, _last(values, name)[:_LONGEST_TEXT]) for name in names[:_MOST_OPTIONS]))


def _preset(text: str) -> str:
    return text if text in PRESETS else DEFAULT_RANGE


def _refresh(text: str) -> int:
    return int(text) if text in map(str, REFRESHES_S) else DEFAULT_REFRESH_S


def _sort(text: str, rows: Rows) -> str:
    return text if column(rows, text.removeprefix("-")) else "-time"


def _custom(values: Mapping[str, list[str]]) -> tuple[datetime | None, datetime | None]:
    start, end = _moment(_last(values, "from")), _moment(_last(values, "to"))
    if start is None or end is None or not timedelta(0) < end - start <= _LONGEST:
        return None, None
    return start, end


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) if 1971 <= moment.year <= 2200 else None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
