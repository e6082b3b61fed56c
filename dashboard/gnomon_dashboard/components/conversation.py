"""A conversation as HTML. Everything a service sent is put in as text, never as markup."""

from collections.abc import Sequence
from typing import Any, Final

from dash import html

from gnomon_collector.store.queries.trace import Document
from gnomon_dashboard.components.icons import icon
from gnomon_schemas.conversation import Conversation, Message, Part

_KNOWN_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "input", "output")
_ICONS: Final = {
    "assistant": "generation",
    "tool": "tool",
    "system": "system",
    "developer": "system",
    "user": "user",
}
_FOLDED_FROM: Final = 1_500


def conversation_view(talk: Conversation) -> Any:
    """Return both sides of a conversation, the answer set apart."""
    if not talk.input and not talk.output:
        return html.P(
            "This span carries no messages. Content capture may be off in the service.", className="muted"
        )
    return html.Div(
        [
            *(_message(message) for message in talk.input),
            *(_message(message, answered=True) for message in talk.output),
        ],
        className="conversation",
    )


def documents_view(documents: Sequence[Document], query: str) -> Any:
    """Return retrieved documents with their scores, in the order retrieved."""
    return html.Div(
        [
            html.P([html.Span("Query: ", className="muted"), query], className="documents-query")
            if query
            else None,
            html.Ol([_document(document) for document in documents], className="documents"),
        ]
    )


def _message(message: Message, answered: bool = False) -> Any:
    role = message.role.lower()
    known = role if role in _KNOWN_ROLES else "other"
    return html.Article(
        className=f"message message-{known}{' message-answer' if answered else ''}",
        children=[
            html.Header(
                [
                    icon(_ICONS.get(role, "event"), 14),
                    html.Span(message.role or "message", className="message-role"),
                    html.Span(message.finish_reason, className="badge") if message.finish_reason else None,
                ],
                className="message-head",
            ),
            *[_part(part) for part in message.parts],
        ],
    )


def _part(part: Part) -> Any:
    if part.kind == "text":
        return _text(part.body)
    if part.kind == "reference":
        return html.P(
            [icon("file", 14), html.B(part.title), html.Span(part.body, className="break")],
            className="part-reference",
        )
    titles = {
        "tool_call": f"calls {part.title}",
        "tool_result": f"result of {part.title}" if part.title else "result",
        "reasoning": "reasoning",
    }
    title = titles.get(part.kind, "")
    head = (
        [html.Div([icon("tool" if "tool" in part.kind else "system", 13), title], className="part-title")]
        if title
        else []
    )
    body = html.Pre(part.body) if part.kind != "reasoning" else html.Div(part.body, className="part-text")
    return html.Div([*head, body] if part.body else head, className=f"part part-{part.kind}")


def _text(body: str) -> Any:
    shown = html.Div(body, className="part-text")
    if len(body) <= _FOLDED_FROM:
        return shown
    preview = body[:300].rstrip() + "…"
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(preview, className="part-text preview"),
                    html.Span(f"Show all {len(body):,} characters", className="more"),
                ]
            ),
            shown,
        ],
        className="folded",
    )


def _document(document: Document) -> Any:
    share = min(max(document.score or 0.0, 0.0), 1.0)
    return html.Li(
        [
            html.Div(
                [
                    html.Span(document.id or "(no id)", className="document-id break"),
                    html.Span(html.Span(style={"width": f"{share * 100:.0f}%"}), className="score-bar"),
                    html.Span(
                        "–" if document.score is None else f"{document.score:.3f}", className="document-score"
                    ),
                ],
                className="document-head",
            ),
            _text(document.content) if document.content else html.P("no content sent", className="muted"),
        ]
    )
