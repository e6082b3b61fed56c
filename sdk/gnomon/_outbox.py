"""The queue between the service's threads and the one that sends: bounded in bytes and items."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, RLock
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from gnomon._wire import PackedSpan

Score = Mapping[str, object]
_MAX_REENTERED: Final = 1_000


class Parcel(NamedTuple):
    """One thing to send, or a mark that tells a waiting `flush` that everything before it is settled."""

    content: "ReadableSpan | PackedSpan | Score | Event"
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the queue, and from which fill level on the sender should not wait any longer."""

    max_bytes: int
    max_items: int
    urgent_bytes: int
    urgent_items: int


class Outbox:
    """First in, first out; `put` never blocks on I/O and never waits for room.

    What was taken counts against the bounds until it is settled, so memory stays bounded while a
    request is being retried.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = RLock()
        self._busy = False
        self._waiting: deque[Parcel] = deque()
        self._reentered: deque[Parcel] = deque()
        self._waiting_bytes = 0
        self._held_bytes = 0
        self._held_items = 0
        self._marks = 0
        self._discarded = False
        # SimpleQueue may be used from a destructor; Event and Condition may not, they deadlock.
        self._bell: SimpleQueue[None] = SimpleQueue()

    @property
    def held_items(self) -> int:
        """Spans and scores not settled yet, those in flight included."""
        return self._held_items + len(self._reentered)

    @property
    def held_bytes(self) -> int:
        """Estimated bytes of `held_items`."""
        return self._held_bytes

    @property
    def waiting_items(self) -> int:
        """How many parcels wait to be taken."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._waiting and not self._reentered

    @property
    def urgent(self) -> bool:
        """Whether there is enough to fill a request, or someone waits for a flush."""
        return self._marks > 0 or self._is_full_enough()

    def put(self, parcel: Parcel) -> bool:
        """Add a parcel; returns False when it does not fit and was not taken."""
        with self._lock:
            if self._busy:
                # A destructor or signal handler interrupted this very thread inside the lock: counters are
                # half-way changed, so the parcel is parked and the sender sorts it in.
                parked = len(self._reentered) < _MAX_REENTERED
                if parked:
                    self._reentered.append(parcel)
                return parked
            self._busy = True
            try:
                accepted, ring = self._admit(parcel)
            finally:
                self._busy = False
        if ring or self._reentered:
            self.ring()
        return accepted

    def mark(self) -> Event:
        """Return an event that is set once everything put before is settled."""
        event = Event()
        with self._lock:
            self._waiting.append(Parcel(event, 0))
            self._marks += 1
        self.ring()
        return event

    def take(self, max_items: int, max_bytes: int) -> list[Parcel]:
        """Take the oldest parcels, at least one if there is any."""
        with self._lock:
            self._busy = True
            try:
                return self._take(max_items, max_bytes)
            finally:
                self._busy = False

    def settle(self, parcels: list[Parcel]) -> None:
        """Give back the room of taken parcels and wake those who wait for them."""
        with self._lock:
            self._busy = True
            try:
                if not self._discarded:
                    self._held_bytes -= sum(parcel.size_bytes for parcel in parcels)
                    self._held_items -= sum(not isinstance(parcel.content, Event) for parcel in parcels)
            finally:
                self._busy = False
        for parcel in parcels:
            if isinstance(parcel.content, Event):
                parcel.content.set()

    def discard(self) -> int:
        """Forget everything that is not settled, for good; returns how many spans and scores that was."""
        with self._lock:
            left = self.held_items
            self._waiting.clear()
            self._reentered.clear()
            self._waiting_bytes = self._held_bytes = self._held_items = self._marks = 0
            self._discarded = True
        return left

    def ring(self) -> None:
        """Wake the sender."""
        self._bell.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until someone rings; returns False after ``timeout_s``."""
        try:
            self._bell.get(timeout=max(timeout_s, 0.0))
        except Empty:
            return False
        return True

    def _admit(self, parcel: Parcel) -> tuple[bool, bool]:
        limits = self._limits
        if self._held_bytes + parcel.size_bytes > limits.max_bytes or self._held_items + 1 > limits.max_items:
            return False, False
        was_empty, was_enough = not self._waiting, self._is_full_enough()
        self._append(parcel)
        return True, was_empty or (not was_enough and self._is_full_enough())

    def _append(self, parcel: Parcel) -> None:
        self._waiting.append(parcel)
        self._waiting_bytes += parcel.size_bytes
        self._held_bytes += parcel.size_bytes
        self._held_items += 1

    def _is_full_enough(self) -> bool:
        limits = self._limits
        return self._waiting_bytes >= limits.urgent_bytes or len(self._waiting) >= limits.urgent_items

    def _take(self, max_items: int, max_bytes: int) -> list[Parcel]:
        for _ in range(len(self._reentered)):
            self._append(self._reentered.popleft())
        taken: list[Parcel] = []
        room = max_bytes
        while self._waiting and len(taken) < max_items:
            parcel = self._waiting[0]
            if taken and parcel.size_bytes > room:
                break
            taken.append(self._waiting.popleft())
            room -= parcel.size_bytes
            self._waiting_bytes -= parcel.size_bytes
            self._marks -= isinstance(parcel.content, Event)
        return taken
