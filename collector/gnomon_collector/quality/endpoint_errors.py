"""What an endpoint's errors mean: whether they pass by themselves, and how they are told. Pure.

The endpoint's own message is never repeated: it may hold a prompt or a key. Its code is, if it is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import openai

Trouble = Literal["unavailable", "hopeless", "refused"]

_LONGEST_WAIT_S: Final = 300.0
_WORD: Final = re.compile(r"[A-Za-z][\w.-]{0,59}")
_PARAMETER_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "response_format": ("response_format", "json_schema", "structured output"),
    "temperature": ("temperature",),
}
_TOO_LONG: Final = ("context_length", "context length", "context window", "prompt is too long")
_KEY: Final = "the endpoint does not take the key (GNOMON_JUDGE_API_KEY, or OPENAI_API_KEY)"
_MEANINGS: Final[Mapping[int, str]] = {
    401: _KEY,
    403: "the key may not use this model, or the endpoint is closed to this network",
    404: "no such model (GNOMON_JUDGE_MODEL, --model) or address: GNOMON_JUDGE_BASE_URL mostly ends in /v1",
    408: "the endpoint took too long",
    413: "what is judged is too long for the endpoint",
    429: "more calls than the endpoint allows; a lower GNOMON_JUDGE_CONCURRENCY helps where this goes on",
}
_NO_CREDIT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class JudgeCallError(Exception):
    """A call of the judge brought no answer.

    Attributes:
        trouble: ``unavailable`` may pass by itself; ``hopeless`` will not, until somebody changes a setting;
            ``refused`` is about this one request
        retry_after_s: what the endpoint asked to wait, 0 when it did not say
    """

    def __init__(self, message: str, trouble: Trouble, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.retry_after_s = retry_after_s


def trouble_of(error: openai.OpenAIError, now: datetime, timeout_s: float) -> JudgeCallError:
    """Return an error of the openai client as one of the judge's.

    Args:
        now: for a Retry-After that is a date
        timeout_s: how long was waited
    """
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, now)
    if isinstance(error, openai.APITimeoutError):
        return JudgeCallError(f"no answer within {timeout_s:g} s (GNOMON_JUDGE_TIMEOUT_S)", "unavailable")
    if isinstance(error, openai.APIConnectionError):
        return JudgeCallError("no connection to the endpoint (GNOMON_JUDGE_BASE_URL)", "unavailable")
    return JudgeCallError(type(error).__name__, "unavailable")


def refused_parameter(error: openai.OpenAIError, parameters: Iterable[str]) -> str:
    """Return the parameter that a 400 or a 422 complains about, "" when it is about something else."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (400, 422):
        return ""
    if _is_too_long(error):
        return ""
    said = _everything_said(error)
    named = (name for name in parameters if any(one in said for one in _PARAMETER_WORDS.get(name, (name,))))
    return next(named, "")


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float:
    """Return how long an answer asks to wait: RFC 9110, 10.2.3, and OpenAI's ``retry-after-ms``; 0 unsaid."""
    in_ms, said = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    try:
        seconds = float(in_ms) / 1000 if in_ms else float(said or 0)
    except ValueError:
        seconds = _until(said, now)
    return min(_LONGEST_WAIT_S, max(0.0, seconds))


def _until(said: str, now: datetime) -> float:
    try:
        time = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - now).total_seconds()


def _of_status(error: openai.APIStatusError, now: datetime) -> JudgeCallError:
    status, words = error.status_code, {str(error.code), str(error.type)}
    if words & _NO_CREDIT:
        return _told(error, "the account has no credit left", "hopeless")
    if status in (401, 403, 404):
        return _told(error, _MEANINGS[status], "hopeless")
    if _is_too_long(error):
        return _told(error, "what is judged is longer than the model's context", "refused")
    passes = status in (408, 409, 429) or status >= 500
    meaning = _MEANINGS.get(status, "the endpoint is in trouble" if status >= 500 else "")
    wait_s = retry_after_s(error.response.headers, now)
    return _told(error, meaning, "unavailable" if passes else "refused", wait_s)


def _told(
    error: openai.APIStatusError, meaning: str, trouble: Trouble, wait_s: float = 0.0
) -> JudgeCallError:
    word = next((one for one in (error.code, error.type) if one and _WORD.fullmatch(str(one))), "")
    said = f"HTTP {error.status_code} {word}".strip()
    return JudgeCallError(f"{said}: {meaning}" if meaning else said, trouble, wait_s)


def _is_too_long(error: openai.APIStatusError) -> bool:
    said = _everything_said(error)
    return error.status_code in (400, 413, 422) and any(one in said for one in _TOO_LONG)


def _everything_said(error: openai.APIStatusError) -> str:
    return f"{error.param or ''} {error.code or ''} {error.message} {error.response.text}".lower()
