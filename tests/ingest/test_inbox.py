"""The inbox: what is put is there after a restart, until it is forgotten."""

from __future__ import annotations

import gzip
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from pathlib import Path

import pytest

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.ingest.inbox import Inbox, InboxFull
from gnomon_collector.ingest.inbox_rows import ReceivedRequest, minute_time

MAX_BYTES = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.sqlite"


@pytest.fixture
def inbox(path: Path) -> Iterator[Inbox]:
    inbox = Inbox(path, MAX_BYTES)
    yield inbox
    inbox.close()


def received(body: bytes = b"body", minutes: tuple[int, ...] = (1,), project: str = "p") -> ReceivedRequest:
    return ReceivedRequest(project, time.time_ns(), "", len(minutes), frozenset(minutes), body)


def put(inbox: Inbox, *requests: ReceivedRequest) -> None:
    for future in [inbox.put(each) for each in requests]:
        future.result(10)


def bodies(requests: list[ReceivedRequest]) -> list[bytes]:
    return [each.body for each in requests]


def test_what_is_put_comes_out_as_it_went_in(inbox: Inbox) -> None:
    sent = ReceivedRequest("проект", 2**62, "gzip", 7, frozenset({0, 1, 29_000_000}), bytes(range(256)) * 500)
    put(inbox, sent)
    (found,) = inbox.oldest(0, 10**9)
    assert (found.project, found.received_at_ns, found.encoding, found.spans, found.minutes, found.body) == (
        sent.project,
        sent.received_at_ns,
        sent.encoding,
        sent.spans,
        sent.minutes,
        sent.body,
    )
    assert found.id > 0


def test_it_is_still_there_after_a_restart(path: Path) -> None:
    first = Inbox(path, MAX_BYTES)
    put(first, received(b"one"), received(b"two"))
    first.close()

    second = Inbox(path, MAX_BYTES)
    assert second.wait_for_requests(0)
    assert (second.waiting_requests, second.waiting_bytes) == (2, 6)
    assert bodies(second.oldest(0, 10**9)) == [b"one", b"two"]
    second.close()


def test_oldest_first_from_a_place_on_and_no_more_than_asked_for(inbox: Inbox) -> None:
    put(inbox, *(received(bytes([number]) * 10) for number in range(5)))
    first = inbox.oldest(0, 25)
    assert bodies(first) == [b"\x00" * 10, b"\x01" * 10]
    assert inbox.wait_for_requests(0)  # there is more
    assert bodies(inbox.oldest(first[-1].id, 10**9)) == [bytes([number]) * 10 for number in (2, 3, 4)]


def test_at_least_one_however_large(inbox: Inbox) -> None:
    put(inbox, received(b"x" * 1000), received(b"y" * 1000))
    assert bodies(inbox.oldest(0, 1)) == [b"x" * 1000]


def test_bounds_hold_for_what_comes_out_of_gzip(inbox: Inbox) -> None:
    packed = gzip.compress(bytes(100_000))
    put(inbox, *(ReceivedRequest("p", 1, "gzip", 1, frozenset(), packed) for _ in range(10)))
    assert len(inbox.oldest(0, 350_000)) == 3


def test_waiting_ends_when_something_comes(inbox: Inbox) -> None:
    assert not inbox.wait_for_requests(0.01)
    threading.Timer(0.05, lambda: inbox.put(received())).start()
    assert inbox.wait_for_requests(10)
    inbox.oldest(0, 10**9)
    assert not inbox.wait_for_requests(0.01)
    inbox.wake()
    assert inbox.wait_for_requests(0)


def test_what_is_forgotten_is_gone_and_makes_room(path: Path) -> None:
    inbox = Inbox(path, MAX_BYTES)
    put(inbox, received(b"one"), received(b"two"), received(b"three"))
    inbox.forget(inbox.oldest(0, 6))
    assert (inbox.waiting_requests, inbox.waiting_bytes) == (1, 5)
    inbox.close()
    again = Inbox(path, MAX_BYTES)
    assert bodies(again.oldest(0, 10**9)) == [b"three"]
    again.close()


def test_no_more_bytes_than_allowed(inbox: Inbox) -> None:
    put(inbox, received(b"x" * (MAX_BYTES - 10)))
    with pytest.raises(InboxFull, match=f"{MAX_BYTES - 10} of {MAX_BYTES} bytes"):
        inbox.put(received(b"x" * 11))
    put(inbox, received(b"x" * 10))
    with pytest.raises(InboxFull):
        inbox.put(received(b"x"))
    assert inbox.waiting_bytes == MAX_BYTES
    inbox.forget(inbox.oldest(0, 1))
    put(inbox, received(b"x" * 100))


def test_the_limit_holds_across_threads(inbox: Inbox) -> None:
    taken = []

    def fill() -> None:
        for _ in range(100):
            try:
                taken.append(inbox.put(received(b"x" * 9_000)))
            except InboxFull:
                return

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(taken, 10)
    assert len(taken) == MAX_BYTES // 9_000
    assert inbox.waiting_requests == len(taken)


def test_many_puts_share_a_commit(inbox: Inbox, path: Path) -> None:
    """A reader's snapshots never see part of a group, and there are fewer of them than puts."""
    seen = set()
    with closing(sqlite3.connect(path)) as reader:
        futures = [inbox.put(received()) for _ in range(2000)]
        while not all(future.done() for future in futures):
            seen.add(reader.execute("SELECT count(*) FROM requests").fetchone()[0])
        wait(futures)
        assert reader.execute("SELECT count(*) FROM requests").fetchone()[0] == 2000
    assert len(seen) < 1000


def test_a_done_future_means_committed(inbox: Inbox, path: Path) -> None:
    with closing(sqlite3.connect(path)) as reader:
        for number in range(20):
            put(inbox, received())
            assert reader.execute("SELECT count(*) FROM requests").fetchone()[0] == number + 1


def test_it_syncs_each_commit(inbox: Inbox, path: Path) -> None:
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    with closing(inbox._connect()) as own:
        assert own.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_closing_finishes_what_was_put_and_refuses_more(path: Path) -> None:
    inbox = Inbox(path, MAX_BYTES)
    futures = [inbox.put(received()) for _ in range(200)]
    inbox.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreUnavailable, match="stopping"):
        inbox.put(received()).result(1)
    inbox.close()
    again = Inbox(path, MAX_BYTES)
    assert again.waiting_requests == 200
    again.close()


def test_a_client_that_stops_waiting_does_not_stop_the_writer(inbox: Inbox) -> None:
    given_up = [inbox.put(received()) for _ in range(100)]
    for future in given_up:
        future.cancel()
    put(inbox, received(b"after"))
    assert inbox.waiting_requests == 101
    assert bodies(inbox.oldest(0, 10**9))[-1] == b"after"


def test_when_the_disk_refuses_nothing_is_acknowledged_and_later_it_goes_on(inbox: Inbox, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER broken BEFORE INSERT ON requests BEGIN SELECT raise(ABORT, 'no'); END")
        other.commit()
        failed = [inbox.put(received(b"x" * 100)) for _ in range(3)]
        for future in failed:
            with pytest.raises(StoreUnavailable, match="cannot be written"):
                future.result(10)
        assert (inbox.waiting_bytes, inbox.waiting_requests) == (0, 0)
        other.execute("DROP TRIGGER broken")
        other.commit()
    put(inbox, received(b"good"))
    assert bodies(inbox.oldest(0, 10**9)) == [b"good"]


def test_quarantine_keeps_the_request_and_why(inbox: Inbox, path: Path) -> None:
    put(inbox, received(b"bad", minutes=(7,)), received(b"good"))
    bad = inbox.oldest(0, 10**9)[0]
    inbox.quarantine(bad, "refused")
    assert inbox.quarantined() == 1
    assert bodies(inbox.oldest(0, 10**9)) == [b"good"]
    assert (inbox.waiting_requests, inbox.waiting_bytes) == (1, 4)
    assert inbox.touched_minutes(10).minutes == (("p", minute_time(7)),)
    with closing(sqlite3.connect(path)) as reader:
        rows = reader.execute("SELECT project, spans, minutes, body, reason FROM quarantine").fetchall()
    assert rows == [("p", 1, "7", b"bad", "refused")]


def test_forgetting_touches_the_minutes_newest_first(inbox: Inbox) -> None:
    put(inbox, received(minutes=(3, 1)), received(minutes=(2, 3)), received(minutes=(2,), project="q"))
    inbox.forget(inbox.oldest(0, 10**9), also_touched=[("p", minute_time(9))])
    touched = inbox.touched_minutes(10)
    numbered = [(project, int(minute.timestamp()) // 60) for project, minute in touched.minutes]
    assert [minute for _, minute in numbered] == [9, 3, 2, 2, 1]
    assert set(numbered) == {("p", 9), ("p", 3), ("p", 2), ("q", 2), ("p", 1)}
    assert inbox.touched_minutes(2).minutes == touched.minutes[:2]

    inbox.forget_touched(inbox.touched_minutes(2))
    assert inbox.touched_minutes(10).minutes == touched.minutes[2:]


def test_who_waits_for_touched_minutes_is_told_once(inbox: Inbox) -> None:
    assert inbox.wait_for_touched(0)  # by the process before, perhaps
    assert not inbox.wait_for_touched(0)
    put(inbox, received(minutes=(1,)))
    assert not inbox.wait_for_touched(0)
    inbox.forget(inbox.oldest(0, 10**9))
    assert inbox.touched_minutes(10).minutes  # anybody may look
    assert inbox.wait_for_touched(0)
    assert not inbox.wait_for_touched(0)
    inbox.wake_touched()
    assert inbox.wait_for_touched(0)


def test_a_minute_touched_again_stays_touched(inbox: Inbox) -> None:
    put(inbox, received(minutes=(1, 2)))
    inbox.forget(inbox.oldest(0, 10**9))
    before = inbox.touched_minutes(10)
    put(inbox, received(minutes=(2,)))
    inbox.forget(inbox.oldest(0, 10**9))

    inbox.forget_touched(before)
    assert inbox.touched_minutes(10).minutes == (("p", minute_time(2)),)


def test_touches_are_in_order_whatever_the_clock_says(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    put(inbox, received(minutes=(1,)))
    inbox.forget(inbox.oldest(0, 10**9))
    before = inbox.touched_minutes(10)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    put(inbox, received(minutes=(1,)))
    inbox.forget(inbox.oldest(0, 10**9))
    inbox.forget_touched(before)
    assert len(inbox.touched_minutes(10).minutes) == 1


def test_touched_minutes_survive_a_restart(path: Path) -> None:
    first = Inbox(path, MAX_BYTES)
    put(first, received(minutes=(5,)))
    first.forget(first.oldest(0, 10**9))
    first.close()
    second = Inbox(path, MAX_BYTES)
    assert second.touched_minutes(10).minutes == (("p", minute_time(5)),)
    second.close()


def test_a_file_that_is_no_inbox_is_refused_with_a_word_on_what_to_do(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"cannot be opened.*move it away"):
        Inbox(path, MAX_BYTES)
    with pytest.raises(StoreError, match="cannot be opened"):
        Inbox(path.parent, MAX_BYTES)


def test_ids_are_never_used_twice(path: Path) -> None:
    first = Inbox(path, MAX_BYTES)
    put(first, received())
    (only,) = first.oldest(0, 10**9)
    first.forget([only])
    first.close()
    second = Inbox(path, MAX_BYTES)
    put(second, received())
    assert second.oldest(0, 10**9)[0].id > only.id
    second.close()
