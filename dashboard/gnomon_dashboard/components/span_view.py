"""The selected span: facts, conversation, documents, scores, events, attributes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from gnomon_collector.store.queries.trace import Event, Score, SpanDetail
from gnomon_dashboard import units
from gnomon_dashboard.components.conversation import conversation_view, documents_view
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.conversation import conversation
from gnomon_schemas.conversation import pretty

Link = Callable[[str, str], str]
"""Makes the address of the traces with a value in a column of the Traces page."""


def span_view(span: SpanDetail, scores: Sequence[Score], zone: tzinfo, link: Link) -> Any:
    """Return everything about one span.

    Args:
        scores: those of its whole trace.
        zone: the viewer's time zone.
    """
    return html.Div(
        className="span-view",
        children=[
            _head(span, zone),
            _error(span),
            html.Dl(
                [item for name, value in facts(span, link) for item in (html.Dt(name), html.Dd(value))],
                className="facts",
            ),
            _section("Conversation", conversation_view(conversation(span)), True),
            _documents(span),
            _scores(scores, span.span_id, zone),
            _events(span.events, zone),
            _table("Attributes", span.attributes, is_open=False),
            _table("Metadata", span.metadata, is_open=True),
            _table("Resource", span.resource, is_open=False),
        ],
    )


def facts(span: SpanDetail, link: Link) -> list[tuple[str, Any]]:
    """Return the facts that the span has, by name; what was not reported is left out."""
    given: list[tuple[str, Any]] = [
        ("Latency", units.duration(span.duration_ns / 1e6)),
        ("First token", None if span.ttft_ms is None else units.duration(span.ttft_ms)),
        ("Speed", _speed(span)),
        ("Tokens", _tokens(span)),
        ("Usage details", _details(span)),
        ("Cost", None if span.cost_usd is None else units.usd(span.cost_usd)),
        ("Reported cost", None if span.cost_reported_usd is None else units.usd(span.cost_reported_usd)),
        ("Model", span.response_model or span.request_model),
        (
            "Requested model",
            span.request_model if span.response_model not in ("", span.request_model) else "",
        ),
        ("Provider", span.provider),
        ("Service tier", span.service_tier),
        ("Finish reason", span.finish_reason),
        ("Streamed", None if span.stream is None else "yes" if span.stream else "no"),
        ("Prompt", " ".join(part for part in (span.prompt_name, span.prompt_version) if part)),
        ("Session", _linked(span.session_id, "session", link)),
        ("User", _linked(span.user_id, "user", link)),
        ("Company", _linked(span.company_id, "company", link)),
        ("Service", " ".join(part for part in (span.service_name, span.release) if part)),
        ("Environment", span.environment),
        ("Attempt", None if span.attempt is None else str(span.attempt)),
        ("Fallback of", span.fallback_of),
        ("Fallback reason", span.fallback_reason),
        ("Cache", _cache(span)),
        ("Tags", ", ".join(span.tags)),
        ("Language", span.language),
        ("Instrumented by", " ".join(part for part in (span.scope_name, span.scope_version) if part)),
        ("Mended", ", ".join(span.data_flags)),
        ("Duplicate of", span.duplicate_of),
    ]
    return [(name, value) for name, value in given if value not in (None, "", [])]


def _head(span: SpanDetail, zone: tzinfo) -> Any:
    return html.Header(
        className="span-head",
        children=[
            html.Span(icon(span.kind, 15), className=f"kind-mark kind-{span.kind}"),
            html.Div(
                [
                    html.H2(span.name or "(no name)"),
                    html.Div(
                        [
                            span.kind,
                            " · ",
                            units.moment(span.start_time.astimezone(zone)),
                            " · ",
                            html.Code(span.span_id),
                        ],
                        className="muted small",
                    ),
                ]
            ),
            html.Span(span.status, className=f"status-badge status-{span.status}"),
        ],
    )


def _error(span: SpanDetail) -> Any:
    if span.status != "error" and not span.status_message:
        return None
    title = " · ".join(
        part
        for part in (span.error_type or "Error", f"HTTP {span.error_code}" if span.error_code else "")
        if part
    )
    return html.Div(
        [
            icon("warning", 16),
            html.Div([html.Strong(title), html.Div(span.status_message, className="part-text")]),
        ],
        className="error-box",
        role="alert",
    )


def _tokens(span: SpanDetail) -> list[str]:
    if span.input_tokens is None and span.output_tokens is None:
        return []
    parts = [f"{units.whole(span.input_tokens)} in", f"{units.whole(span.output_tokens)} out"]
    for count, name in (
        (span.cache_read_tokens, "read from cache"),
        (span.cache_write_tokens, "written to cache"),
        (span.reasoning_tokens, "reasoning"),
    ):
        if count:
            parts.append(f"{units.whole(count)} {name}")
    return _dotted(parts)


def _details(span: SpanDetail) -> list[str]:
    """The finer classes that calls are billed by, such as input audio tokens and web searches."""
    return _dotted(
        [
            f"{units.whole(count)} {unit.replace('_', ' ')}"
            for unit, count in sorted(span.usage_details.items())
        ]
    )


def _dotted(parts: Sequence[str]) -> list[str]:
    """Parts of a line, each a text of its own so that it is translated as one."""
    return [text for part in parts for text in (" · ", part)][1:]


def _speed(span: SpanDetail) -> str:
    if not span.output_tokens or not span.duration_ns or span.kind != "generation":
        return ""
    generating_ms = span.duration_ns / 1e6 - (span.ttft_ms or 0)
    return f"{span.output_tokens / generating_ms * 1000:.0f} tokens/s" if generating_ms > 0 else ""


def _cache(span: SpanDetail) -> str:
    if not span.cache_status:
        return ""
    similarity = f" ({span.cache_similarity:.3f})" if span.cache_similarity is not None else ""
    return span.cache_status.replace("_", " ") + similarity


def _linked(value: str, column: str, link: Link) -> Any:
    return (
        dcc.Link(value, href=link(column, value), className="break", title=f"Traces of this {column}")
        if value
        else ""
    )


def _documents(span: SpanDetail) -> Any:
    if not span.documents:
        return None
    return _section(
        f"Retrieved documents ({len(span.documents)})",
        documents_view(span.documents, span.retrieval_query),
        True,
    )


def _scores(scores: Sequence[Score], span_id: str, zone: tzinfo) -> Any:
    if not scores:
        return None
    rows = [
        html.Tr(
            [
                html.Td(score.name),
                html.Td("–" if score.value is None else f"{score.value:.3g}", className="number"),
                html.Td(score.label),
                html.Td(score.comment, className="break"),
                html.Td(" ".join(part for part in (score.source, score.author) if part)),
                html.Td(
                    "this span"
                    if score.span_id == span_id
                    else "another span"
                    if score.span_id
                    else "whole trace"
                ),
                html.Td(units.moment(score.created_at.astimezone(zone))[:19]),
            ]
        )
        for score in scores
    ]
    head = html.Tr([html.Th(name) for name in ("Score", "Value", "Label", "Comment", "From", "Of", "When")])
    return _section(
        f"Scores and feedback ({len(scores)})",
        html.Div(
            html.Table([html.Thead(head), html.Tbody(rows)], className="table"), className="table-scroll"
        ),
        True,
    )


def _events(events: Sequence[Event], zone: tzinfo) -> Any:
    if not events:
        return None
    items = [
        html.Li(
            [
                html.Div(
                    [
                        html.B(event.name),
                        html.Span(units.moment(event.time.astimezone(zone)), className="muted small"),
                    ],
                    className="event-head",
                ),
                _rows(event.attributes),
            ]
        )
        for event in events
    ]
    return _section(
        f"Events ({len(events)})",
        html.Ul(items, className="events"),
        any(event.name == "exception" for event in events),
    )


def _table(title: str, values: Mapping[str, str], *, is_open: bool) -> Any:
    return _section(f"{title} ({len(values)})", _rows(values), is_open) if values else None


def _rows(values: Mapping[str, str]) -> Any:
    rows = [
        html.Tr([html.Th(name, scope="row"), html.Td(html.Pre(pretty(values[name])))])
        for name in sorted(values)
    ]
    return (
        html.Div(html.Table(html.Tbody(rows), className="table key-values"), className="table-scroll")
        if rows
        else None
    )


def _section(title: str, content: Any, is_open: bool) -> Any:
    return html.Details([html.Summary(title), content], open=is_open, className="section")


def trace_scores(scores: Sequence[Score]) -> Any:
    """Return the scores of the whole trace as badges for its head."""
    return [
        dmc.Badge(
            f"{score.name} {score.label or ('' if score.value is None else f'{score.value:.2g}')}",
            variant="light",
            size="sm",
            tt="none",
        )
        for score in scores
        if not score.span_id
    ][:6]
