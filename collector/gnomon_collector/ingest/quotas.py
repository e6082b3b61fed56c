"""How much a project may send: a bucket of spans and one of bytes for each, refilled as time goes on.

A bucket holds what a minute allows, so a burst of a minute's worth goes through at once (token bucket,
https://en.wikipedia.org/wiki/Token_bucket). Only the project that is over its quota is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gnomon_collector.errors import GnomonError
from gnomon_collector.store.projects import ProjectSettings

_MINUTE_S = 60.0


class QuotaExceeded(GnomonError):  # noqa: N818
    """A project sends more than its settings allow. `retry_after_s` is when the same request may pass."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass
class _Bucket:
    """What is left to take; below zero after a request larger than the whole bucket."""

    left: float
    filled_at_s: float

    def refill(self, per_minute: int, now_s: float) -> None:
        gained = per_minute * (now_s - self.filled_at_s) / _MINUTE_S
        self.left, self.filled_at_s = min(self.left + gained, float(per_minute)), now_s


class Quotas:
    """The buckets of all projects. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, limits: ProjectSettings, spans: int, size_bytes: int) -> None:
        """Take a request's spans and bytes out of its project's buckets.

        A bucket need only be above zero, so that a request larger than a minute's worth passes now and then
        instead of never.

        Raises:
            QuotaExceeded: a bucket is empty; nothing was taken.
        """
        wanted = (
            ("spans", limits.max_spans_per_minute, spans),
            ("bytes", limits.max_bytes_per_minute, size_bytes),
        )
        limited = [(unit, most, amount) for unit, most, amount in wanted if most is not None]
        if not limited:
            return
        with self._lock:
            buckets = [self._filled(limits.project, unit, most) for unit, most, _ in limited]
            for bucket, (unit, most, _) in zip(buckets, limited, strict=True):
                if bucket.left <= 0:
                    raise _exceeded(limits.project, unit, most, bucket.left)
            for bucket, (_, _, amount) in zip(buckets, limited, strict=True):
                bucket.left -= amount

    def _filled(self, project: str, unit: str, per_minute: int) -> _Bucket:
        now_s = self._clock()
        bucket = self._buckets.setdefault((project, unit), _Bucket(float(per_minute), now_s))
        bucket.refill(per_minute, now_s)
        return bucket


def _exceeded(project: str, unit: str, per_minute: int, left: float) -> QuotaExceeded:
    retry_after_s = max(1, int(1 - left * _MINUTE_S / per_minute))
    return QuotaExceeded(
        f"Project {project} sends more than its {per_minute} {unit} per minute: try again in"
        f" {retry_after_s} s, or have the quota raised (gnomon projects set).",
        retry_after_s,
    )
