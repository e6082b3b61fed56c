"""How calls ended: one bar of shares, and the error types below it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from dash import dcc, html

from gnomon_collector.store.queries.overview import Outcome
from gnomon_dashboard import units
from gnomon_dashboard.components.attributes import aria

_ORDER: Final = ("ok", "cancelled", "unknown", "error")
_MOST_ERROR_TYPES: Final = 8


def outcome_list(outcomes: Sequence[Outcome], link: Callable[[str, str], str]) -> Any:
    """Return the distribution of outcomes.

    Args:
        link: makes the address of the calls with a value in a column of the Traces page.
    """
    total = sum(one.calls for one in outcomes) or 1
    by_status = {
        status: sum(
            one.calls for one in outcomes if (one.status if one.status in _ORDER else "unknown") == status
        )
        for status in _ORDER
    }
    errors = [one for one in outcomes if one.status == "error"]
    most = max((one.calls for one in errors), default=1)
    return html.Div(
        className="outcomes",
        children=[
            html.Div(
                [
                    html.Span(style={"flexGrow": count}, className=f"share share-{status}")
                    for status, count in by_status.items()
                    if count
                ],
                className="share-bar",
                **aria(hidden="true"),
            ),
            html.Ul(
                [_status(status, count, total, link) for status, count in by_status.items() if count],
                className="outcome-statuses",
            ),
            html.Ul(
                [_error_type(one, most, total, link) for one in errors[:_MOST_ERROR_TYPES]],
                className="outcome-errors",
            ),
            _rest(errors[_MOST_ERROR_TYPES:]),
        ],
    )


def _status(status: str, count: int, total: int, link: Callable[[str, str], str]) -> Any:
    return html.Li(
        dcc.Link(
            [
                html.Span(className=f"dot share-{status}"),
                html.Span(status, className="outcome-name"),
                html.Span(units.whole(count), className="outcome-count"),
                html.Span(units.percent(count / total), className="outcome-share"),
            ],
            href=link("status", status),
            title=f"Calls that ended {status}",
        )
    )


def _error_type(one: Outcome, most: int, total: int, link: Callable[[str, str], str]) -> Any:
    name = one.error_type or "(no error type)"
    return html.Li(
        dcc.Link(
            [
                html.Span(style={"width": f"{one.calls / most * 100:.1f}%"}, className="outcome-bar"),
                html.Span(name, className="outcome-name", title=name),
                html.Span(units.whole(one.calls), className="outcome-count"),
                html.Span(units.percent(one.calls / total), className="outcome-share"),
            ],
            href=link("error_type", one.error_type) if one.error_type else link("status", "error"),
        )
    )


def _rest(errors: Sequence[Outcome]) -> Any:
    if not errors:
        return None
    return html.P(
        f"and {len(errors)} more error types, {units.whole(sum(one.calls for one in errors))} calls",
        className="muted",
    )
