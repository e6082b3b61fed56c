"""What a reviewer is shown of an answer. Pure; nothing of the judge's verdict is in it."""

from collections.abc import Sequence
from typing import Any, Final

from gnomon_collector.store.judge_inputs import InputSpan, Material
from gnomon_collector.store.reviews import ReviewItem, Scale
from gnomon_schemas.conversation import Message, parse_conversation

_LONGEST: Final = 20_000
_STEPS: Final = ("generation", "retrieval", "rerank", "tool", "agent", "guardrail")


def shown(item: ReviewItem, scale: Scale, material: Material) -> dict[str, Any]:
    """Return an item as the page takes it: the scale, and the texts to be judged by it."""
    return {
        "task_id": item.task_id,
        "evaluator": item.evaluator,
        "unit": item.unit,
        "trace_id": item.trace_id,
        "span_id": item.span_id,
        "session_id": item.session_id,
        "happened_at": item.happened_at.isoformat(),
        "title": scale.title,
        "description": scale.description,
        "labels": [
            {"label": one.label, "shown": one.label.replace("_", " "), "meaning": one.meaning}
            for one in scale.labels
        ],
        "parts": _parts(item, material),
    }


def _parts(item: ReviewItem, material: Material) -> list[dict[str, str]]:
    if item.unit == "span":
        span = next((one for one in material.spans if one.span_id == item.span_id), None)
        parts = _span_parts(span, material.spans) if span is not None else []
    else:
        parts = _turn_parts(material.spans)
    kept = [{"title": title, "text": text[:_LONGEST], "kind": kind} for title, text, kind in parts if text]
    return kept or [
        {"title": "Gone", "text": "The spans of this answer are no longer there.", "kind": "note"}
    ]


def _span_parts(span: InputSpan, spans: Sequence[InputSpan]) -> list[tuple[str, str, str]]:
    talk = parse_conversation(
        span.attributes,
        dialect=span.dialect,
        kind=span.kind,
        input_text=span.input_text,
        output_text=span.output_text,
    )
    system = "\n".join(_text(message) for message in talk.input if message.role in ("system", "developer"))
    found = dict.fromkeys(
        document
        for one in spans
        if one.start_time <= span.start_time or one.span_id == span.span_id
        for document in one.documents
    )
    return [
        ("Instructions of the service", system, "folded"),
        ("Question", span.input_text, "question"),
        *[(f"Document {name}", content, "document") for name, content in found],
        ("Answer", span.output_text, "answer"),
    ]


def _turn_parts(spans: Sequence[InputSpan]) -> list[tuple[str, str, str]]:
    parts: list[tuple[str, str, str]] = []
    for trace in dict.fromkeys(span.trace_id for span in spans):
        of_trace = [span for span in spans if span.trace_id == trace]
        root = next((span for span in of_trace if not span.parent_span_id), of_trace[0])
        parts.append(("User", root.input_text, "question"))
        steps = [span for span in of_trace if span is not root and span.kind in _STEPS]
        parts.append(
            ("Steps", "\n".join(f"{one.kind} {one.name}: {one.output_text}" for one in steps), "folded")
        )
        parts.append(("Assistant", root.output_text, "answer"))
    return parts


def _text(message: Message) -> str:
    return "\n".join(part.body for part in message.parts)
