"""What is said about a trace, and the form to say more; links to what it belongs to."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from gnomon_collector.store.queries.trace import Score, SpanDetail
from gnomon_collector.store.queries.trace_links import TraceContext
from gnomon_dashboard import links
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.dataset_menu import dataset_menu
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.state import ViewState

_SOURCES = {"user": "user", "human": "review", "judge": "judge", "check": "check"}


def context_links(found: TraceContext, view: ViewState) -> Any:
    """Return links to the session, user, company and prompt of a trace, and to its neighbours.

    Args:
        view: one whose time range covers the trace.
    """
    shown = [
        _link("sessions", "Session", found.session, links.to_person(view, "session", found.session)),
        _link("people", "User", found.user, links.to_person(view, "user", found.user)),
        _link("company", "Company", found.company, links.to_person(view, "company", found.company)),
        _link(
            "prompt",
            "Prompt",
            f"{found.prompt} {found.prompt_version}".strip(),
            links.to_page(f"/prompts/{links.escaped(found.prompt)}", view),
        ),
    ]
    where = "in this session" if found.session else "of this service"
    neighbours = [
        _neighbour("← Earlier", f"The trace before this one {where}", found.previous, view),
        _neighbour("Later →", f"The trace after this one {where}", found.following, view),
    ]
    return [*filter(None, shown), html.Span(list(filter(None, neighbours)), className="neighbours")]


def judgements(scores: Sequence[Score], trace_id: str, project: str, zone: tzinfo) -> Any:
    """Return the scores of a trace with their explanation, and the form that adds one (assets/judge.js)."""
    listed = [_score(score, zone) for score in scores]
    title = f"Scores and feedback ({len(scores)})" if scores else "Scores and feedback"
    return html.Details(
        [
            html.Summary(title),
            html.Ul(listed, className="judgement-list")
            if listed
            else html.P("Nobody has judged it yet.", className="muted"),
            html.Details(
                [html.Summary("Judge it: score, comment, correction"), _form(trace_id, project)],
                className="judge-more",
            ),
        ],
        className="judgements",
        open=any(score.comment for score in scores),
    )


def span_actions(span: SpanDetail) -> Any:
    """Return what one can do with a span: see it raw, copy the call as a script, keep it as an example."""
    buttons = [("raw", "Raw JSON")]
    if span.kind == "generation":
        buttons += [("curl", "Copy as curl"), ("python", "Copy as Python")]
    shown = [
        html.Button(
            label,
            type="button",
            className="chip-button",
            **data(action=f"span-{action}", trace=span.trace_id, span=span.span_id),
        )
        for action, label in buttons
    ]
    menu = [dataset_menu(span.trace_id, span.span_id)] if span.kind == "generation" else []
    return html.Div([*shown, *menu], className="span-actions")


def _link(shape: str, label: str, text: str, href: str) -> Any:
    if not text:
        return None
    return dcc.Link(
        [icon(shape, 13), html.Span(text)], href=href, className="chip-button", title=f"{label} {text}"
    )


def _neighbour(label: str, hint: str, trace_id: str, view: ViewState) -> Any:
    if not trace_id:
        return None
    return dcc.Link(label, href=links.to_trace(view, trace_id), className="chip-button", title=hint)


def _score(score: Score, zone: tzinfo) -> Any:
    value = score.label or ("" if score.value is None else f"{score.value:.2g}")
    tone = "" if score.value is None else "change-good" if score.value >= 0.5 else "change-bad"
    who = " · ".join(filter(None, (_SOURCES.get(score.source, score.source), score.author)))
    return html.Li(
        [
            html.Span(score.name, className="judgement-name"),
            html.Strong(value, className=tone) if score.name != "correction" else None,
            html.Span(f"{who} · {score.created_at.astimezone(zone):%d %b %H:%M}", className="muted small"),
            html.Span("on one span", className="badge") if score.span_id else None,
            html.Div(score.comment, className="judgement-comment") if score.comment else None,
        ]
    )


def _form(trace_id: str, project: str) -> Any:
    """The fields are read by assets/judge.js, which posts them."""
    values = [
        html.Button(
            label,
            type="button",
            className="chip-button",
            **data(action="judge-value", value=value),
            **aria(pressed="false"),
        )
        for label, value in (("Good", "1"), ("Half", "0.5"), ("Bad", "0"))
    ]
    name = dmc.TextInput(id="judge-name", value="review", size="xs", w=150, **aria(label="Name of the score"))
    save = html.Button("Save", type="submit", className="chip-button primary")
    state = html.Span(className="muted small", id="judge-state", role="status")
    return html.Form(
        [
            html.Div([name, *values], className="judge-row"),
            _area("judge-comment", "Comment", "Why?"),
            _area(
                "judge-correction",
                "Correction",
                "What the answer should have been: it goes into the fine-tuning set",
            ),
            html.Div([save, state], className="judge-row"),
        ],
        className="judge-form",
        id="judge-form",
        **data(trace=trace_id, project=project),
    )


def _area(component_id: str, label: str, placeholder: str) -> Any:
    return dmc.Textarea(
        id=component_id,
        label=label,
        placeholder=placeholder,
        size="xs",
        autosize=True,
        minRows=2,
        maxRows=12,
    )
