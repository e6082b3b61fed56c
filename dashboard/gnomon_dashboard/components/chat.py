"""A session read as a chat."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from gnomon_collector.store.queries.people import Turn
from gnomon_dashboard import links, units
from gnomon_dashboard.context import View


def chat(turns: Sequence[Turn], view: View) -> Any:
    """Return the requests of a session: what was asked on one side, what was answered on the other."""
    return html.Ol([_turn(turn, view) for turn in turns], className="chat")


def _turn(turn: Turn, view: View) -> Any:
    facts = [
        f"{turn.time.astimezone(view.zone):%d %b %H:%M:%S}",
        units.duration(turn.duration_ms),
        units.usd(turn.cost_usd),
        turn.model,
    ]
    return html.Li(
        [
            html.Div(turn.question or "(no text)", className="bubble bubble-user"),
            html.Div(
                turn.answer or (turn.error_type or turn.status),
                className=f"bubble bubble-answer{' bubble-error' if turn.status == 'error' else ''}",
            ),
            html.Div(
                [
                    dcc.Link("Trace", href=links.to_trace(view.state, turn.trace_id)),
                    *[html.Span(fact) for fact in facts if fact],
                    *[_rating(name, value) for name, value in turn.ratings],
                ],
                className="chat-facts",
            ),
        ]
    )


def _rating(name: str, value: float) -> Any:
    return html.Span(f"{name} {value:g}", className=f"badge change-{'good' if value >= 0.5 else 'bad'}")
