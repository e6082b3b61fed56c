"""Getting messages out, each once: what is to be sent is written down first, then a process sends it.

A message that was being sent when this process died is looked up in the outcome its sender left. Only when a
sender itself died between sending and saying so is a message sent again, with the same Idempotency-Key.
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gnomon_collector.alerts.chart import chart_png
from gnomon_collector.alerts.config import Channel
from gnomon_collector.alerts.grouping import Message, retry_at
from gnomon_collector.alerts.message import alertmanager_payload, evidence_of, html, text, title
from gnomon_collector.alerts.sender import Letter, Result, read_outcome
from gnomon_collector.alerts.wording import unit_of
from gnomon_collector.store.alerts import AlertRecords, Delivery, Incident

_log = logging.getLogger(__name__)

_SENDER = "gnomon_collector.alerts.sender"
_SENDER_TIMEOUT_S = 90.0
_KEPT = timedelta(days=2)
"""How long outcomes stay on disk."""

_GONE = "its channel or incident is gone"
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")


@dataclass(frozen=True)
class Limits:
    """Where messages may go."""

    allow_private: bool = False
    allow_http: bool = False


class Outbox:
    """Sends messages through `sender` processes and keeps the log of deliveries."""

    def __init__(self, records: AlertRecords, folder: Path, base_url: str, limits: Limits) -> None:
        """Use `folder` for the outcomes; it is made when it is not there."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._records = records
        self._folder = folder
        self._base_url = base_url
        self._limits = limits

    def send(self, messages: Sequence[Message], now: datetime) -> list[Delivery]:
        """Write the messages down, send them, and return what came of each."""
        if not messages:
            return []
        fresh = [_delivery(one, now) for one in messages]
        return self._attempt(messages, fresh, now)

    def settle(self, unsettled: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Find out what became of messages that an earlier process was sending; return what is still to do.

        Those whose sender still runs are left alone.
        """
        settled = []
        for one in unsettled:
            outcome = read_outcome(self._outcome_file(one.delivery_id))
            if outcome is not None and outcome.outcome == "sent":
                settled.append(replace(one, status="sent", sent_at=now, error=""))
            elif not self._is_being_sent(one.delivery_id):
                settled.append(replace(one, status="failed", next_try_at=now, error=_error_of(outcome)))
        self._records.save_deliveries(settled)
        return settled

    def retry(
        self,
        failed: Sequence[Delivery],
        incidents: Sequence[Incident],
        channels: Sequence[Channel],
        now: datetime,
    ) -> list[Delivery]:
        """Try again what is due. A message whose channel or incidents are gone is given up."""
        by_name = {one.name: one for one in channels}
        by_id = {one.incident_id: one for one in incidents}
        due = [one for one in failed if one.next_try_at <= now]
        pairs = [(_message_again(one, by_name, by_id), one) for one in due]
        gone = [one for message, one in pairs if message is None]
        self._records.save_deliveries([replace(one, status="given_up", error=_GONE) for one in gone])
        again = [(message, one) for message, one in pairs if message is not None]
        if not again:
            return []
        attempts = [replace(one, status="sending", attempts=one.attempts + 1) for _, one in again]
        return self._attempt([message for message, _ in again], attempts, now)

    def give_sign(self, url: str, payload: dict[str, Any], now: datetime) -> Result:
        """Post a sign of life, which is in no log and is not tried again: the next one follows soon."""
        delivery_id = f"heartbeat-{int(now.timestamp())}"
        file = self._outcome_file(delivery_id)
        letter = Letter(
            delivery_id=delivery_id,
            url=url,
            title="",
            text="",
            html="",
            payload=payload,
            chart="",
            outcome_file=str(file),
            allow_private=self._limits.allow_private,
            allow_http=self._limits.allow_http,
            is_bad_news=False,
        )
        try:
            return _run_sender(letter)
        finally:
            for path in (file, Path(f"{file}.lock")):
                path.unlink(missing_ok=True)

    def forget_old(self, now: datetime) -> None:
        """Take away outcomes that nobody will ask for any more."""
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # a sign of life takes its own away meanwhile
                if now.timestamp() - path.stat().st_mtime > _KEPT.total_seconds():
                    path.unlink()

    def _attempt(
        self, messages: Sequence[Message], deliveries: Sequence[Delivery], now: datetime
    ) -> list[Delivery]:
        self._records.save_deliveries(deliveries)
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="gnomon-alert") as pool:
            results = list(pool.map(lambda one: _run_sender(self._letter(one, now)), messages))
        done = [_after(one, result, now) for one, result in zip(deliveries, results, strict=True)]
        self._records.save_deliveries(done)
        for one in done:
            if one.status != "sent":
                _log.warning("A message to the channel %r was not sent: %s", one.channel, one.error)
        return done

    def _letter(self, message: Message, now: datetime) -> Letter:
        first = message.incidents[0]
        chart = chart_png(evidence_of(first), unit_of(first), first.normal, first.threshold)
        return Letter(
            delivery_id=message.delivery_id,
            url=message.channel.url.get_secret_value(),
            title=title(message),
            text=text(message, self._base_url, now),
            html=html(message, self._base_url, now),
            payload=alertmanager_payload(message, self._base_url),
            chart=base64.b64encode(chart).decode() if chart and message.firing else "",
            outcome_file=str(self._outcome_file(message.delivery_id)),
            allow_private=self._limits.allow_private,
            allow_http=self._limits.allow_http,
            is_bad_news=bool(message.firing),
        )

    def _outcome_file(self, delivery_id: str) -> Path:
        return self._folder / f"{delivery_id}.json"

    def _is_being_sent(self, delivery_id: str) -> bool:
        """Whether a sender holds the lock of this message."""
        path = Path(f"{self._outcome_file(delivery_id)}.lock")
        if not path.exists():
            return False
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _run_sender(letter: Letter) -> Result:
    # a session of its own: what stops this process must not stop a message half way
    process = subprocess.Popen(
        [sys.executable, "-m", _SENDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        start_new_session=True,
    )
    try:
        process.communicate(json.dumps(asdict(letter)).encode(), timeout=_SENDER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return Result("failed", f"the channel took longer than {_SENDER_TIMEOUT_S:.0f} s")
    outcome = read_outcome(Path(letter.outcome_file))
    return outcome or Result("failed", "the sender ended without a word")


def _delivery(message: Message, now: datetime) -> Delivery:
    return Delivery(
        delivery_id=message.delivery_id,
        project=message.incidents[0].project,
        channel=message.channel.name,
        group_key=message.group_key,
        kind=message.kind,
        incidents=message.told,
        status="sending",
        attempts=1,
        error="",
        created_at=now,
        next_try_at=now,
    )


def _after(one: Delivery, result: Result, now: datetime) -> Delivery:
    if result.outcome == "sent":
        return replace(one, status="sent", sent_at=now, error="")
    next_try = retry_at(one.attempts, now)
    error = _error_of(result)
    if next_try is None:
        return replace(one, status="given_up", error=error)
    return replace(one, status="failed", next_try_at=next_try, error=error)


def _error_of(result: Result | None) -> str:
    if result is None:
        return "the server stopped before it was sent"
    return result.error or "the sender stopped before it said whether it was sent"


def _message_again(
    one: Delivery, channels: dict[str, Channel], incidents: dict[str, Incident]
) -> Message | None:
    entries = [entry.partition(":") for entry in one.incidents]
    found = [(kind, incidents.get(incident_id)) for kind, _, incident_id in entries]
    firing = tuple(incident for kind, incident in found if kind == "firing" and incident)
    resolved = tuple(incident for kind, incident in found if kind == "resolved" and incident)
    channel = channels.get(one.channel)
    if channel is None or not (firing or resolved):
        return None
    labels = {"project": one.project}
    return Message(one.delivery_id, channel, one.group_key, labels, one.kind, firing, resolved)
