"""Texts and JSON made fit to be read: escapes as letters, base64 and vectors out of the way, bounded."""

from __future__ import annotations

import json
import re
from typing import Any, Final

LONGEST_PART: Final = 40_000
"""Characters of a text or of pretty JSON that are shown."""

_DEEPEST: Final = 40
_MOST_NUMBERS: Final = 16
_ESCAPE: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,([A-Za-z0-9+/_-]{40,}=*)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{512,}={0,2}")


def load_json(text: str) -> Any:
    """Return what a JSON text stands for, also where it was encoded twice; None where it is no JSON."""
    loaded = _load(text)
    if isinstance(loaded, str) and loaded[:1] in ("{", "["):
        inner = _load(loaded)
        return loaded if inner is None else inner
    return loaded


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def pretty(value: Any) -> str:
    """Return JSON indented and without escapes; a text that holds JSON likewise, another text as it is."""
    if isinstance(value, str):
        loaded = load_json(value)
        return pretty(loaded) if isinstance(loaded, dict | list) else shown(value)
    try:
        return bounded(printable(json.dumps(_compact(value, 0), ensure_ascii=False, indent=2)))
    except (ValueError, RecursionError):
        return bounded(printable(str(value)))


def shown(text: str) -> str:
    """Return a text as it is shown: escapes as letters, base64 told by its size, bounded."""
    return bounded(without_base64(unescaped(text)))


def unescaped(text: str) -> str:
    """Return the text with ``\\uXXXX`` escapes as letters: what broken JSON needs to be readable."""
    return printable(_ESCAPE.sub(_letters, text) if "\\u" in text else text)


def without_base64(text: str) -> str:
    """Return the text with inline files told by their size: nobody reads them, and they hide the rest."""
    if len(text) < 40:
        return text
    text = _DATA_URL.sub(lambda found: _size(found[2], found[1] or "file"), text)
    return _BASE64.sub(_told, text)


def _told(found: re.Match[str]) -> str:
    # A very long word of one case is no base64.
    text = found[0]
    is_mixed = any(c.isdigit() for c in text) and text.upper() != text and text.lower() != text
    return _size(text, "base64") if is_mixed else text


def _size(text: str, what: str) -> str:
    return f"[{what}, about {len(text) * 3 // 4:,} bytes]"


def printable(text: str) -> str:
    """Return the text without lone surrogates, which no response can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def bounded(text: str) -> str:
    """Return the text, cut at `LONGEST_PART` characters and saying so."""
    rest = len(text) - LONGEST_PART
    return text if rest <= 0 else f"{text[:LONGEST_PART]}\n… and {rest:,} more characters"


def _letters(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("\\u", "")).decode("utf-16-be", "replace")


def _compact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return without_base64(value)
    if depth > _DEEPEST:
        return value if isinstance(value, int | float | None) else "…"
    if isinstance(value, dict):
        return {key: _compact(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return _numbers(value) or [_compact(inner, depth + 1) for inner in value]
    return value


def _numbers(values: list[Any]) -> str:
    """What stands for a long vector, such as an embedding; empty for any other list."""
    if len(values) <= _MOST_NUMBERS or not all(isinstance(value, int | float) for value in values):
        return ""
    return f"[{len(values):,} numbers: {', '.join(str(value) for value in values[:4])}, …]"
