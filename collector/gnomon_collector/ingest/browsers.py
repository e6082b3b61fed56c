"""Feedback that comes straight from browsers: which pages may send it (CORS), and how much of it.

CORS as the Fetch standard defines it (https://fetch.spec.whatwg.org/#http-cors-protocol). Cookies are never
asked for: the publishable key in the request is all that counts.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.quotas import QuotaExceeded

MAX_PUBLIC_BODY_BYTES: Final = 64 * 1024
"""How much a publishable key may send at once."""

_MAX_SENDERS: Final = 10_000
_MINUTE_S: Final = 60.0
_PREFLIGHT_HOLDS_S: Final = 3600
_HEADERS: Final = "authorization, content-type, x-gnomon-api-key"


class Browsers:
    """What pages may do. Safe to use from any thread.

    Args:
        origins: pages that may send feedback, such as ``https://shop.example.com``, separated by commas;
            ``*`` for all, nothing for none.
        per_minute: how many scores one address may send to one project in a minute.
        now_s: the clock, in seconds.
    """

    def __init__(self, origins: str, per_minute: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._origins = frozenset(origin.strip().rstrip("/").lower() for origin in origins.split(","))
        self._per_minute = per_minute
        self._now_s = now_s
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def headers(self, request_headers: Mapping[str, str], *, preflight: bool = False) -> dict[str, str]:
        """Return the headers that let the page read the answer; none for a page that may not."""
        origin = request_headers.get("origin", "")
        if not origin or not ({"*", origin.lower()} & self._origins):
            return {"Vary": "Origin"}
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if preflight:
            allowed |= {
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": _HEADERS,
                "Access-Control-Max-Age": str(_PREFLIGHT_HOLDS_S),
            }
        return allowed

    def take(self, project: str, address: str, scores: int) -> None:
        """Count scores of one address against what it may send.

        Raises:
            QuotaExceeded: it sends too much; nothing was counted.
            BadRequest: this would be too much at any time.
        """
        if scores > self._per_minute:
            raise BadRequest(
                f"A publishable key may send {self._per_minute} scores a minute: send fewer at once."
            )
        with self._lock:
            left, missing_s = self._refilled((project, address), scores)
            if missing_s > 0:
                raise QuotaExceeded(
                    f"This address sends too much feedback: {self._per_minute} scores a minute are allowed"
                    " (GNOMON_FEEDBACK_PER_MINUTE).",
                    int(missing_s) + 1,
                )
            self._left[(project, address)] = (left - scores, self._now_s())
            self._left.move_to_end((project, address))
            if len(self._left) > _MAX_SENDERS:
                self._left.popitem(last=False)

    def _refilled(self, sender: tuple[str, str], scores: int) -> tuple[float, float]:
        """What a sender has left now, and in how many seconds it will be enough."""
        now_s = self._now_s()
        left, at_s = self._left.get(sender, (float(self._per_minute), now_s))
        per_s = self._per_minute / _MINUTE_S
        left = min(left + per_s * (now_s - at_s), float(self._per_minute))
        return left, max(scores - left, 0.0) / per_s
