"""From the spans of a task to what the judge is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gnomon_collector.quality.evaluators import Evaluator
from gnomon_collector.quality.prompts import Case, Document, bounded
from gnomon_collector.store.judge_inputs import REFERENCE_NAMES, InputSpan, Material, Remark
from gnomon_collector.store.judge_queue import Task
from gnomon_schemas.conversation import Conversation, Message, parse_conversation

_SYSTEM_ROLES: Final = ("system", "developer")
_RETRIEVING: Final = ("retrieval", "rerank")
_STEP_CHARS: Final = 1_500
_SHOWN_KINDS: Final = ("generation", "retrieval", "rerank", "tool", "agent", "guardrail")


def case_of(task: Task, material: Material) -> Case:
    """Return the case of a task; empty when its spans are gone."""
    if task.unit == "span":
        return _span_case(task, material)
    return _whole_case(material)


def why_not(evaluator: Evaluator, case: Case) -> str:
    """Return why an evaluator cannot judge a case, "" when it can."""
    missing = evaluator.missing(case.given())
    return f"no {missing}" if missing else ""


def _span_case(task: Task, material: Material) -> Case:
    span = next((one for one in material.spans if one.span_id == task.span_id), None)
    if span is None:
        return Case()
    talk = _conversation(span)
    return Case(
        instructions=_texts(message for message in talk.input if message.role in _SYSTEM_ROLES),
        question=_question(span, talk),
        documents=_documents(material.spans, span),
        answer=span.output_text or _texts(talk.output),
        reference=_reference(span, material.remarks),
    )


def _conversation(span: InputSpan) -> Conversation:
    return parse_conversation(
        span.attributes,
        dialect=span.dialect,
        kind=span.kind,
        input_text=span.input_text,
        output_text=span.output_text,
    )


def _question(span: InputSpan, talk: Conversation) -> str:
    """The user's last message; where there was more before it, the course of the conversation."""
    said = [message for message in talk.input if message.role not in _SYSTEM_ROLES]
    if sum(message.role == "user" for message in said) > 1:
        return bounded("\n".join(f"{message.role}: {_texts([message])}" for message in said))
    return span.input_text or _texts(said)


def _texts(messages: Iterable[Message]) -> str:
    return "\n".join(part.body for message in messages for part in message.parts if part.body)


def _documents(spans: Sequence[InputSpan], judged: InputSpan) -> tuple[Document, ...]:
    """What was retrieved in the trace before the judged call, or by the call itself."""
    sources = [
        span
        for span in spans
        if span.documents and (span.start_time <= judged.start_time or span.span_id == judged.span_id)
    ]
    # A reranker passes on the best of what retrieval found: then that is the context.
    reranked = [span for span in sources if span.kind == "rerank"]
    found = {document: None for span in (reranked or sources) for document in span.documents if document[1]}
    return tuple(Document(name, content) for name, content in found)


def _reference(span: InputSpan, remarks: Sequence[Remark]) -> str:
    given = [
        remark.comment
        for remark in remarks
        if remark.name in REFERENCE_NAMES and remark.comment and remark.span_id in ("", span.span_id)
    ]
    return given[-1] if given else span.metadata.get("reference", "")


def _whole_case(material: Material) -> Case:
    """A trace or a session: its roots say what was asked and answered, its spans are the steps."""
    traces = dict.fromkeys(span.trace_id for span in material.spans)
    by_trace = [[span for span in material.spans if span.trace_id == trace] for trace in traces]
    pairs = [(spans, turn) for spans in by_trace if (turn := _turn(spans)) is not None]
    remarks = {remark.trace_id: remark for remark in material.remarks}
    lines: list[str] = []
    for number, (spans, turn) in enumerate(pairs, start=1):
        lines.append(f"[turn {number}] user: {bounded(turn.input_text, _STEP_CHARS)}")
        lines += [_step(span) for span in spans if span is not turn and span.kind in _SHOWN_KINDS]
        lines.append(f"[turn {number}] assistant: {bounded(turn.output_text, _STEP_CHARS)}")
        remark = remarks.get(turn.trace_id)
        if remark is not None:
            lines.append(f"[turn {number}] recorded feedback: {remark.label} {remark.comment}".rstrip())
    return Case(
        question=pairs[0][1].input_text if pairs else "",
        answer=pairs[-1][1].output_text if pairs else "",
        steps="\n".join(lines),
    )


def _turn(spans: Sequence[InputSpan]) -> InputSpan | None:
    """The span that stands for a whole trace: its root, else its last model call."""
    roots = [span for span in spans if not span.parent_span_id]
    calls = [span for span in spans if span.kind == "generation" and span.output_text]
    return next((span for span in roots if span.output_text), calls[-1] if calls else None)


def _step(span: InputSpan) -> str:
    if span.kind in _RETRIEVING:
        found = "; ".join(f"[{name}] {content[:200]}" for name, content in span.documents[:5])
        return f"  {span.kind} {span.name}: {span.retrieval_query or span.input_text} → {found}"
    failed = f" ({span.status})" if span.status != "ok" else ""
    asked, got = bounded(span.input_text, _STEP_CHARS // 2), bounded(span.output_text, _STEP_CHARS // 2)
    return f"  {span.kind} {span.name}{failed}: {asked} → {got}"
