"""What an answer of the collector means for the batch that was sent: pure decisions."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from gnomon._transport import Response

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""OTLP/HTTP's list: https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes"""
_ADVICE: Final = {
    400: "the collector could not read the request: are SDK and collector of the same version?",
    401: "check GNOMON_API_KEY: the collector does not know this key (`gnomon keys create` makes one)",
    403: "check GNOMON_API_KEY: this key may not send data, it needs the ingest scope",
    404: "check GNOMON_ENDPOINT: there is no Gnomon collector at this address",
    413: "the request is too large for the collector or a proxy before it: lower GNOMON_MAX_EXPORT_BYTES",
}
FIRST_BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 30.0
MAX_RETRY_AFTER_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with the batch.

    Attributes:
        action: accepted, retry it, or reject (drop and count) it.
        reason: short word for counters, such as ``http_401``.
        advice: what a person should do about it; empty when nothing.
        retry_after_s: how long the server asked to wait, in seconds; None when it did not say.
    """

    action: Literal["accept", "retry", "reject"]
    reason: str = ""
    advice: str = ""
    retry_after_s: float | None = None


def judge(response: Response, now: datetime) -> Verdict:
    """Decide what the answer means; ``now`` is needed for a Retry-After given as a date."""
    status = response.status
    if 200 <= status < 300:
        return Verdict("accept")
    reason = f"http_{status}"
    if status in _RETRYABLE:
        return Verdict("retry", reason, retry_after_s=parse_retry_after(response.retry_after, now))
    if 300 <= status < 400:
        return Verdict("reject", reason, f"the collector moved: set GNOMON_ENDPOINT to {response.location}")
    return Verdict("reject", reason, _ADVICE.get(status, f"the collector answered {status}"))


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, seconds or date), within `MAX_RETRY_AFTER_S`."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, now)
    if not seconds >= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_S)


def _seconds_until(text: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return -1.0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)


def backoff_s(failures: int, retry_after_s: float | None, draw: random.Random) -> float:
    """How long to wait before the next attempt, in seconds.

    Doubles with each of the ``failures`` (1 after the first) from `FIRST_BACKOFF_S` to `MAX_BACKOFF_S`,
    with 50 % of jitter so that a fleet does not come back in step; never earlier than the server asked for.
    """
    grown: float = min(FIRST_BACKOFF_S * 2 ** min(failures - 1, 10), MAX_BACKOFF_S)
    if retry_after_s is not None:
        return retry_after_s + draw.uniform(0, min(grown, 0.1 + retry_after_s / 10))
    return grown * draw.uniform(0.5, 1.5)
