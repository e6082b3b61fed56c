"""The queue: bounds, order, marks, and re-entry from destructors."""

import sys
import threading
from types import FrameType
from typing import Any

from gnomon import _outbox
from gnomon._outbox import Limits, Outbox, Parcel


def outbox(max_bytes: int = 1_000, max_items: int = 10) -> Outbox:
    return Outbox(Limits(max_bytes, max_items, urgent_bytes=max_bytes // 2, urgent_items=max_items // 2))


def parcel(number: int, size_bytes: int = 10) -> Parcel:
    return Parcel({"number": number}, size_bytes)


def numbers(parcels: list[Parcel]) -> list[object]:
    return [item.content["number"] for item in parcels if isinstance(item.content, dict)]


def test_first_in_first_out_within_what_is_asked_for() -> None:
    queue = outbox()
    assert all(queue.put(parcel(number)) for number in range(5))
    assert numbers(queue.take(2, 1_000)) == [0, 1]
    assert numbers(queue.take(10, 20)) == [2, 3]
    assert numbers(queue.take(10, 1)) == [4]
    assert queue.take(10, 1_000) == []


def test_what_is_taken_counts_until_it_is_settled() -> None:
    queue = outbox(max_bytes=100)
    assert queue.put(parcel(1, 60))
    taken = queue.take(1, 1_000)
    assert not queue.put(parcel(2, 60))
    queue.settle(taken)
    assert queue.put(parcel(3, 60))
    assert (queue.held_items, queue.held_bytes) == (1, 60)


def test_a_parcel_larger_than_the_whole_queue_is_refused() -> None:
    assert not outbox(max_bytes=100).put(parcel(1, 101))


def test_a_mark_is_set_once_everything_before_it_is_settled() -> None:
    queue = outbox()
    queue.put(parcel(1))
    mark = queue.mark()
    queue.put(parcel(2))
    assert queue.urgent
    taken = queue.take(2, 1_000)
    assert not mark.is_set()
    queue.settle(taken)
    assert mark.is_set()
    assert not queue.urgent
    assert numbers(queue.take(5, 1_000)) == [2]


def test_half_full_is_urgent() -> None:
    queue = outbox()
    assert queue.put(parcel(1, 499))
    assert not queue.urgent
    assert queue.put(parcel(2, 1))
    assert queue.urgent


def test_put_wakes_who_waits() -> None:
    queue = outbox()
    assert queue.wait(0.0) is False
    threading.Timer(0.05, queue.put, [parcel(1)]).start()
    assert queue.wait(5.0) is True


def test_what_was_discarded_is_gone_and_settling_it_later_changes_nothing() -> None:
    queue = outbox()
    queue.put(parcel(1))
    queue.put(parcel(2))
    taken = queue.take(1, 1_000)
    assert queue.discard() == 2
    queue.settle(taken)
    assert (queue.held_items, queue.held_bytes, queue.empty) == (0, 0, True)


def test_a_put_may_be_interrupted_by_another_at_every_instruction() -> None:
    # What destructors (of abandoned streams) and signal handlers do to the thread they interrupt.
    queue = outbox(max_bytes=10**9, max_items=10**6)
    interruptions = 0

    def interrupt(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal interruptions
        if frame.f_code.co_filename != _outbox.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            interruptions += queue.put(parcel(-1))
        return interrupt

    taken: list[Parcel] = []
    sys.settrace(interrupt)
    try:
        for number in range(20):
            queue.put(parcel(number))
            some = queue.take(3, 1_000)
            queue.settle(some)
            taken += some
    finally:
        sys.settrace(None)
    rest = queue.take(10**6, 10**9)
    queue.settle(rest)
    assert interruptions > 1_000
    assert len(taken) + len(rest) == 20 + interruptions
    assert (queue.held_items, queue.held_bytes, queue.empty) == (0, 0, True)
