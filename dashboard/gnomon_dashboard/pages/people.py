"""Users, sessions and companies: a list of each, and a page for each one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import unquote

from dash import Dash, dcc, html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import people, usage
from gnomon_collector.store.queries.people import Activity, Kind, Order, Person, Turn
from gnomon_dashboard import charts, links, units
from gnomon_dashboard.components import chat, tiles
from gnomon_dashboard.components.pager import (
    PAGE_ROWS,
    find_field,
    offset_of,
    paged,
    sort_headers,
    sorting_of,
)
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import plain
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_SORTED: Final[dict[str, Order]] = {
    "Requests": "requests",
    "Calls": "calls",
    "Cost": "cost",
    "Tokens": "tokens",
    "Errors": "errors",
    "First": "first",
    "Last": "last",
}
"""Headings that sort a list, beside its first two."""
_MOST_ROWS_OF_CSV: Final = 100_000


@dataclass(frozen=True, slots=True)
class Words:
    """How one kind of people is called, and where it is."""

    kind: Kind
    folder: str
    one: str
    many: str
    shape: str
    letter: str
    send: str
    """The line of code that names one."""
    default_order: Order


USERS: Final = Words(
    "user", "users", "User", "Users", "people", "u", 'with gnomon.session(user="u-42"):\n    ...', "cost"
)
SESSIONS: Final = Words(
    "session",
    "sessions",
    "Session",
    "Sessions",
    "sessions",
    "s",
    'with gnomon.session(session="conversation-7"):\n    ...',
    "last",
)
COMPANIES: Final = Words(
    "company",
    "companies",
    "Company",
    "Companies",
    "company",
    "m",
    'with gnomon.session(company="acme"):\n    ...',
    "cost",
)


def value_of(path: str) -> str:
    """Return the id in a path such as ``/users/u-42``; empty for the list."""
    _, _, value = path.strip("/").partition("/")
    return unquote(value)[:500]


def draw_list(words: Words) -> Callable[[Sequence[Person], View], Any]:
    """Return what draws the list of users, sessions or companies."""

    def draw(found: Sequence[Person], view: View) -> Any:
        rows, pages = paged(view, found)
        if not rows:
            return pages
        most = max(row.cost_usd for row in rows) or 1
        headers = sort_headers(
            view, _headers(words), _sorted(words), words.default_order, (words.one, "User")
        )
        table = ranking(headers, [_row(words, row, most, view) for row in rows], texts=2)
        return html.Div([table, pages])

    return draw


def _sorted(words: Words) -> dict[str, str]:
    second: dict[str, str] = {"User": "user"} if words.kind == "session" else {"Sessions": "sessions"}
    return {words.one: "name", **second, **_SORTED}


def listed(words: Words, *, is_whole: bool = False) -> Callable[[Store, View], list[Person]]:
    """Return what asks for the page of the list in the URL and one row more, or for the whole list."""

    def ask(store: Store, view: View) -> list[Person]:
        column, is_up = sorting_of(view, _sorted(words).values(), words.default_order)
        return people.people(
            store,
            view.scope,
            view.window,
            words.kind,
            order=cast(Order, column),
            ascending=is_up,
            text=view.state.option("find"),
            limit=_MOST_ROWS_OF_CSV if is_whole else PAGE_ROWS + 1,
            offset=0 if is_whole else offset_of(view),
        )

    return ask


def _headers(words: Words) -> list[str]:
    second = "User" if words.kind == "session" else "Sessions"
    return [
        words.one,
        second,
        "Requests",
        "Calls",
        "Cost",
        "Tokens",
        "Errors",
        "Satisfaction",
        "First",
        "Last",
    ]


def _row(words: Words, row: Person, most: float, view: View) -> list[Cell]:
    second = (
        Cell(row.user, links.to_person(view.state, "user", row.user) if row.user else "")
        if words.kind == "session"
        else Cell(units.whole(row.sessions))
    )
    return [
        Cell(row.value, links.to_person(view.state, words.kind, row.value)),
        second,
        Cell(units.whole(row.requests)),
        Cell(units.whole(row.calls)),
        Cell(units.usd(row.cost_usd), share=row.cost_usd / most),
        Cell(units.number(row.tokens)),
        Cell(units.whole(row.errors), tone="bad" if row.errors else ""),
        _satisfaction(row),
        Cell(_short(row.first_seen, view)),
        Cell(_short(row.last_seen, view)),
    ]


def _satisfaction(row: Person) -> Cell:
    if row.satisfaction is None:
        return Cell(units.NOTHING)
    hint = f"{row.ratings} rating{'' if row.ratings == 1 else 's'}"
    return Cell(f"{units.percent(row.satisfaction, 0)} ({row.ratings})", hint=hint)


def _short(moment: datetime, view: View) -> str:
    return f"{moment.astimezone(view.zone):%d %b %H:%M}"


def draw_summary(points: Sequence[Activity], _view: View) -> Any:
    if not points:
        return None
    total = usage.added([point.totals for point in points])
    failed = f"{units.whole(total.errors)} failed" if total.errors else "none failed"
    return tiles.render(
        [
            plain("calls", "Calls", units.whole(total.calls), "neither"),
            plain("cost", "Cost", units.usd(total.cost_usd), "less"),
            plain("tokens", "Tokens", units.number(total.tokens), "neither"),
            plain("success", "Success rate", units.percent(total.success_rate), "more", failed),
            plain("mean", "Mean latency", units.duration(total.duration_ms / total.calls), "less"),
        ]
    )


def draw_timeline(points: Sequence[Activity], view: View) -> Any:
    if not points:
        return None
    palette = view.canvas.palette
    series: dict[str, dict[datetime, float | None]] = {
        "ended well": {point.time: float(point.totals.calls - point.totals.errors) for point in points},
        "failed": {point.time: float(point.totals.errors) for point in points},
    }
    return charts.stacked(series, view.canvas, "count", (palette.series[0], palette.bad))


def draw_spend(points: Sequence[Activity], view: View) -> Any:
    if not any(point.totals.priced for point in points):
        return None
    return charts.stacked(
        {"cost": {point.time: point.totals.cost_usd for point in points}}, view.canvas, "usd"
    )


def draw_chat(rows: Sequence[Turn], view: View) -> Any:
    return chat.chat(rows, view) if rows else None


def draw_turns(rows: Sequence[Turn], view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(
                _line(row.question) or "(no text)",
                links.to_trace(view.state, row.trace_id),
                hint=row.question,
            ),
            Cell(row.session, links.to_person(view.state, "session", row.session) if row.session else ""),
            Cell(row.status, tone="bad" if row.status == "error" else ""),
            Cell(", ".join(f"{name} {value:g}" for name, value in row.ratings) or units.NOTHING),
            Cell(units.duration(row.duration_ms)),
            Cell(units.usd(row.cost_usd)),
            Cell(_short(row.time, view)),
        ]
        for row in rows
    ]
    return ranking(("Question", "Session", "Ended", "Ratings", "Duration", "Cost", "Time"), cells, texts=4)


def _line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 90 else f"{joined[:89]}…"


def list_panels(words: Words) -> tuple[Panel, ...]:
    """Return the panel of the list."""
    return (
        Panel(
            f"{words.folder}-list",
            words.many,
            "Those with a call in this time range; a heading sorts. Satisfaction: good ratings (0.5 or more)"
            " among the users' ratings, and their number.",
            "",
            listed(words),
            draw_list(words),
            kind="content",
            is_wide=True,
            explore="",
            empty=f"No call names a {words.one.lower()} in this time range",
            empty_code=words.send,
            ask_all=listed(words, is_whole=True),
        ),
    )


def activity_panels(words: Words) -> tuple[Panel, ...]:
    """Return the panels of one user, session or company that show what its calls did; they ask the same."""

    def points(store: Store, view: View) -> list[Activity]:
        return people.activity(store, view.scope, view.window, words.kind, value_of(view.path))

    return (
        Panel(
            f"{words.kind}-summary", f"{words.one} at a glance", "", "", points, draw_summary, kind="tiles"
        ),
        Panel(
            f"{words.kind}-timeline",
            "Calls over time",
            "Model calls.",
            "calls",
            points,
            draw_timeline,
            explore="",
        ),
        Panel(
            f"{words.kind}-spend",
            "Cost over time",
            "Computed from list prices.",
            "USD",
            points,
            draw_spend,
            explore="",
            empty="No call has a known price",
        ),
    )


def turns_panel(words: Words) -> Panel:
    """Return the panel with the requests of one user, session or company: of a session as a chat."""
    is_chat = words.kind == "session"

    def turns(store: Store, view: View) -> list[Turn]:
        return people.turns(
            store, view.scope, view.window, words.kind, value_of(view.path), newest_first=not is_chat
        )

    return Panel(
        f"{words.kind}-{'chat' if is_chat else 'requests'}",
        "Conversation" if is_chat else "Requests",
        "The requests of the session as a chat, oldest first, at most 100."
        if is_chat
        else "The latest requests, at most 100; a click opens the trace.",
        "",
        turns,
        draw_chat if is_chat else draw_turns,
        kind="content",
        is_wide=True,
        explore="",
    )


def entry(words: Words) -> Entry:
    """Return the page of users, sessions or companies."""
    many, activity, requests = list_panels(words), activity_panels(words), turns_panel(words)
    single = (*activity, requests)

    def layout(path: str, view: ViewState) -> Any:
        value = value_of(path)
        return _single(words, value, single, view) if value else _list(words, many, view)

    def register(app: Dash, context: Context) -> None:
        panel.register(app, context, activity, is_telemetry=True)
        # ratings are given on a page
        panel.register(app, context, (*many, requests))

    return Entry(
        f"/{words.folder}",
        words.many,
        "Explore",
        words.shape,
        layout,
        register,
        under=(f"/{words.folder}/",),
        letter=words.letter,
        layout_key=lambda view: view.project,
        panels=(*many, *single),
    )


def _list(words: Words, panels: Sequence[Panel], view: ViewState) -> Any:
    return [
        html.Div(
            [
                html.H1(words.many),
                find_field(view, f"Find a {words.one.lower()}"),
            ],
            className="page-bar",
        ),
        html.Div(panel.grid(panels), className="tall"),
    ]


def _single(words: Words, value: str, panels: Sequence[Panel], view: ViewState) -> Any:
    crumb = dcc.Link(words.many, href=links.to_page(f"/{words.folder}", view), className="crumb")
    traces = links.to_traces(view)(words.kind, value)
    return [
        html.Div(
            [
                crumb,
                html.Span("/", className="crumb-rule"),
                html.H1(value),
                dcc.Link("Traces", href=traces, className="chip-button"),
            ],
            className="page-bar",
        ),
        html.Div(panel.grid(panels), className="tall"),
    ]


PAGES: Final = tuple(entry(words) for words in (SESSIONS, USERS, COMPANIES))
