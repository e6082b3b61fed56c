"""Where masking is applied: every text of a request, on the background thread, before it is sent.

What is masked, and how, is the masker's business (`gnomon._masking`); here is only that nothing gets
past it. A masker that fails costs the text, never the promise.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gnomon._guard import Guard
from gnomon._settings import Settings
from gnomon_schemas import attributes as names

Mask = Callable[[str, str], str]
"""``mask(text, key)``: the text to send instead; ``key`` names the attribute or field it stands in."""

WITHHELD: Final = "[withheld: masking failed]"
_SCORE_KEYS: Final = {
    "comment": "gnomon.feedback.comment",
    "correction": "gnomon.feedback.correction",
    "label": "gnomon.feedback.label",
    "author": names.USER_ID,
    "session_id": names.CONVERSATION_ID,
}
"""Texts of a score by the attribute they are masked as: an id must come out as it does on the spans."""


def find_mask(settings: Settings, guard: Guard) -> Mask | None:
    """Return the masker the settings ask for; None when nothing is to be masked."""
    if settings.capture_content != "redacted" and settings.mask is None:
        return None
    build: Callable[[Settings], Mask | None] = importlib.import_module("gnomon._masking").build_masker
    mask = build(settings)
    return None if mask is None else _Unfailing(mask, guard)


def scrub_spans(message: Any, mask: Mask) -> None:
    """Mask every text in the spans of an ``ExportTraceServiceRequest``, in place."""
    for group in message.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                _scrub_span(span, mask)


def scrub_score(score: Mapping[str, object], mask: Mask) -> dict[str, object]:
    """Return a score with its texts masked."""
    scrubbed = {
        field: mask(value, _SCORE_KEYS[field]) if field in _SCORE_KEYS and isinstance(value, str) else value
        for field, value in score.items()
    }
    _take_counts(mask)  # a score has no place for them, and they are none of the next span's
    return scrubbed


class _Unfailing:
    """A masker around another, which withholds what the other fails on."""

    def __init__(self, mask: Mask, guard: Guard) -> None:
        self._mask = mask
        self._guard = guard

    def __call__(self, text: str, key: str) -> str:
        try:
            return str(self._mask(text, key))
        except Exception as error:
            self._guard.note(f"masking: {type(error).__name__}")
            self._guard.warn_once(
                "masking", f"gnomon: masking failed ({type(error).__name__}): such texts are withheld"
            )
            return WITHHELD

    def take_counts(self) -> dict[str, int]:
        return _take_counts(self._mask)


def _take_counts(mask: Mask) -> dict[str, int]:
    """What a masker that counts has masked since it was asked last, by class."""
    take: Callable[[], dict[str, int]] = getattr(mask, "take_counts", dict)
    return take()


def _scrub_span(span: Any, mask: Mask) -> None:
    span.name = mask(span.name, "span.name")
    if span.status.message:
        span.status.message = mask(span.status.message, "status.message")
    for key, value in _values(span):
        _scrub_value(value, key, mask)
    for kind, count in _take_counts(mask).items():
        span.attributes.add(key=names.MASKED_PREFIX + kind).value.int_value = count


def _values(span: Any) -> Iterator[tuple[str, Any]]:
    yield from ((pair.key, pair.value) for pair in span.attributes)
    for part in (*span.events, *span.links):
        yield from ((pair.key, pair.value) for pair in part.attributes)


def _scrub_value(value: Any, key: str, mask: Mask) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value = mask(value.string_value, key)
    elif kind == "array_value":
        for item in value.array_value.values:
            _scrub_value(item, key, mask)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            _scrub_value(pair.value, f"{key}.{pair.key}", mask)
