"""The sign of life: who gets none for a while knows that alerts are evaluated no more, whatever the reason.

What evaluates alerts cannot say that it is dead. So while it lives it calls a service that waits for
such calls and wakes people when they stay away; Prometheus' people know that as the Watchdog alert.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gnomon_collector.alerts.config import Heartbeat
from gnomon_collector.alerts.delivery import Outbox
from gnomon_collector.alerts.rulebook import Rulebook
from gnomon_collector.store.budgets import document, save_document
from gnomon_collector.store.engine import Store

_log = logging.getLogger(__name__)

HEARTBEAT_DOCUMENT = "heartbeat"
_EVALUATED_WITHIN = timedelta(minutes=3)
"""Longer ago is no life: rules are looked at every ten seconds, and the longest look takes minutes."""


@dataclass
class Pulse:
    """When rules were last evaluated here; None while another process does that, or none."""

    evaluated_at: datetime | None = None


class HeartbeatJob:
    """Gives the sign of life while rules are evaluated in this process."""

    name = "heartbeat"
    interval_s = 5.0

    def __init__(self, store: Store, rulebook: Rulebook, outbox: Outbox, pulse: Pulse) -> None:
        self._store = store
        self._rulebook = rulebook
        self._outbox = outbox
        self._pulse = pulse
        self._given_at: datetime | None = None
        self._error: str | None = None

    def run_once(self, now: datetime) -> None:
        """Call the address of [heartbeat] when it is time to, and note when the outcome changes.

        Raises:
            StoreError: the outcome cannot be noted
        """
        self._rulebook.refresh()
        heartbeat = self._rulebook.config.heartbeat
        if heartbeat is None or not self._is_due(heartbeat, now):
            return
        self._given_at = now
        result = self._outbox.give_sign(heartbeat.url.get_secret_value(), payload(now), now)
        error = "" if result.outcome == "sent" else result.error
        if error != self._error:
            self._error = error
            save_document(
                self._store, HEARTBEAT_DOCUMENT, json.dumps({"since": now.isoformat(), "error": error})
            )
            if error:
                _log.warning("The heartbeat of the alerts was not taken: %s", error)

    def close(self) -> None:
        """Nothing is to be given back."""

    def _is_due(self, heartbeat: Heartbeat, now: datetime) -> bool:
        evaluated_at = self._pulse.evaluated_at
        if evaluated_at is None or now - evaluated_at > _EVALUATED_WITHIN:
            return False
        # a clock that was put back must not silence it
        passed_s = abs((now - self._given_at).total_seconds()) if self._given_at else heartbeat.every
        return passed_s >= heartbeat.every


def payload(now: datetime) -> dict[str, Any]:
    """Return the sign as an alert that always fires, in Alertmanager's format (webhook version 4)."""
    labels = {"alertname": "Watchdog", "severity": "none"}
    annotations = {"summary": "Gnomon evaluates its alerts. Worry when this no longer comes."}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": now.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "watchdog",
    }
    return {
        "version": "4",
        "groupKey": "watchdog",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "heartbeat",
        "groupLabels": {"alertname": "Watchdog"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
    }


def outcome(store: Store) -> dict[str, str]:
    """Return since when (``since``, ISO 8601) signs are taken, or fail with ``error``; {} before any."""
    said = document(store, HEARTBEAT_DOCUMENT)
    found: dict[str, str] = json.loads(said) if said else {}
    return found
