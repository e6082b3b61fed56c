"""`gnomon.feedback`: what a user, or the code that knows better, says about an answer."""

import math
import uuid
from datetime import UTC, datetime
from typing import Final

from opentelemetry import trace

from gnomon import _values
from gnomon._errors import UsageError
from gnomon._runtime import runtime
from gnomon._session import current_stamp
from gnomon._span import hex_span_id, hex_trace_id

_MAX_ID_CHARS: Final = 256
_MAX_TEXT_CHARS: Final = 8_192


def feedback(
    value: bool | float | None = None,
    *,
    name: str = "user_feedback",
    comment: str | None = None,
    label: str | None = None,
    correction: str | None = None,
    trace_id: str | int | None = None,
    span_id: str | int | None = None,
    session_id: str | None = None,
    author: str | None = None,
    score_id: str | None = None,
) -> str:
    """Send a judgement of an answer, in the background.

    Without any id it is about the span that is current and the session around it.

    Args:
        value: 0 (bad) to 1 (good); True and False are 1 and 0; None when only words are given.
        name: what is judged.
        comment: free text.
        label: one word, such as ``wrong_language``.
        correction: what the answer should have been; becomes a score of its own, named ``correction``.
        trace_id: trace judged, as 32 hex digits (`gnomon.current_trace_id`) or the number OpenTelemetry uses.
        span_id: span judged, as 16 hex digits or a number; the whole trace without one.
        session_id: conversation judged.
        author: who judges.
        score_id: makes it idempotent: the same id again replaces the earlier judgement.

    Returns:
        The score's id, made up when none was given.
    """
    chosen_id = score_id or str(uuid.uuid4())
    with runtime.guard.harmless("feedback"):
        target = _target(trace_id, span_id, session_id)
        score: dict[str, object] = {
            "score_id": _short(chosen_id),
            **target,
            "name": _short(name),
            "value": _unit_value(value),
            "label": _short(label),
            "comment": _values.to_text(comment, _MAX_TEXT_CHARS) if comment is not None else None,
            "source": "user",
            "author": _short(author),
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        if correction is not None:
            score["correction"] = _values.to_text(correction, _MAX_TEXT_CHARS)
        _queue(score, has_target=any(target.values()))
    return chosen_id


def _queue(score: dict[str, object], has_target: bool) -> None:
    client = runtime.client
    if client is None:
        runtime.guard.warn_once("feedback/init", "gnomon: feedback is lost: call gnomon.init() first")
    elif has_target:
        client.sink.put_score(score)
    else:
        client.sink.drop("no_target")
        runtime.guard.warn_once(
            "feedback/target",
            "gnomon: feedback without a target is dropped: pass trace_id= or session_id=, "
            "or call it inside a span",
        )


def _target(
    trace_id: str | int | None, span_id: str | int | None, session_id: str | None
) -> dict[str, str | None]:
    if trace_id is None and span_id is None and session_id is None:
        span, stamp = trace.get_current_span(), current_stamp()
        return {
            "trace_id": hex_trace_id(span),
            "span_id": hex_span_id(span),
            "session_id": stamp.session_id if stamp else None,
        }
    return {
        "trace_id": _hex(trace_id, 32),
        "span_id": _hex(span_id, 16),
        "session_id": _short(session_id),
    }


def _hex(value: str | int | None, digits: int) -> str | None:
    if value is None:
        return None
    text = format(value, f"0{digits}x") if isinstance(value, int) else value.strip().lower().replace("-", "")
    if len(text) != digits or set(text) - set("0123456789abcdef") or not text.strip("0"):
        raise UsageError(f"an id must be {digits} hex digits")
    return text


def _unit_value(value: bool | float | None) -> float | None:
    if value is None:
        return None
    number = float(value)
    if math.isfinite(number) and 0 <= number <= 1:
        return number
    raise UsageError("value must be between 0 (bad) and 1 (good): divide a rating by its maximum")


def _short(text: object) -> str | None:
    return None if text is None else _values.clip(_values.safe_str(text), _MAX_ID_CHARS)
