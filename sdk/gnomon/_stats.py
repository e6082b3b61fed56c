"""What the SDK did so far, in numbers a person can read: `gnomon.stats()`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of this process since `gnomon.init` (or since the fork).

    Attributes:
        enabled: whether spans are being collected.
        queued_spans: spans and scores not yet accepted by the collector, those in flight included.
        queued_bytes: estimated memory they hold, in bytes.
        exported_spans: spans the collector accepted.
        exported_scores: scores (`gnomon.feedback`) the collector accepted.
        exported_bytes: bytes of accepted requests before compression.
        retries: requests that had to be sent again.
        dropped: spans and scores that were lost, by reason: ``queue_full``, ``http_401``, ``shutdown``,
            ``unencodable``, ``rejected`` (by the collector, in a partial success), ``no_target`` …
        errors: faults inside Gnomon and failed requests.
        last_error: the last of them; None when there was none. Never holds captured content or keys.
    """

    enabled: bool = False
    queued_spans: int = 0
    queued_bytes: int = 0
    exported_spans: int = 0
    exported_scores: int = 0
    exported_bytes: int = 0
    retries: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    errors: int = 0
    last_error: str | None = None

    @property
    def dropped_total(self) -> int:
        """All that was lost, whatever the reason."""
        return sum(self.dropped.values())


class Counters:
    """Counters behind `Stats`; any thread may add to them, destructors too."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._dropped: dict[str, int] = {}
        self.exported_spans = 0
        self.exported_scores = 0
        self.exported_bytes = 0
        self.retries = 0

    def exported(self, spans: int, scores: int, size_bytes: int) -> None:
        """Count an accepted request."""
        with self._lock:
            self.exported_spans += spans
            self.exported_scores += scores
            self.exported_bytes += size_bytes

    def retried(self) -> None:
        """Count a request that is sent again."""
        with self._lock:
            self.retries += 1

    def drop(self, reason: str, count: int) -> None:
        """Count what was lost."""
        if count:
            with self._lock:
                self._dropped[reason] = self._dropped.get(reason, 0) + count

    @property
    def dropped(self) -> dict[str, int]:
        """A copy of what was lost, by reason."""
        with self._lock:
            return dict(self._dropped)
