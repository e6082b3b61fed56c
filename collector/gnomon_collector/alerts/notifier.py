"""From incidents to messages: what is due is planned, sent, tried again, and settled after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gnomon_collector.alerts.config import AlertConfig
from gnomon_collector.alerts.delivery import Outbox
from gnomon_collector.alerts.grouping import Quiet, due_messages
from gnomon_collector.alerts.model import Rule
from gnomon_collector.store.alerts import AlertRecords, Delivery, Incident

_TOLD_AFTER = timedelta(days=1)
"""How long after its end an incident may still be told of."""


class Notifier:
    """Tells people. One at a time may work on a store."""

    def __init__(self, records: AlertRecords, outbox: Outbox) -> None:
        self._records = records
        self._outbox = outbox
        self._is_settled = False

    def forget(self) -> None:
        """Look again for messages that an earlier process left behind."""
        self._is_settled = False

    def run(self, config: AlertConfig, rules: Sequence[Rule], projects: Sequence[str], now: datetime) -> int:
        """Send what is due and return how many incidents are still to be looked after.

        Raises:
            StoreError: the database does not answer
        """
        incidents = self._records.incidents_to_tell(now - _TOLD_AFTER)
        if not incidents:
            return 0
        log = self._log(incidents)
        log = self._settle(log, now)
        failed = [one for one in log if one.status == "failed"]
        self._outbox.retry(failed, incidents, config.channels, now)
        quiet = Quiet(self._records.silences("*", now), config.mutes, _inhibits(rules, projects))
        messages = due_messages(incidents, log, config.channels, config.notify, quiet, now)
        self._outbox.send(messages, now)
        return len(incidents)

    def _log(self, incidents: Sequence[Incident]) -> list[Delivery]:
        since = min(one.fired_at for one in incidents) - _TOLD_AFTER
        return self._records.deliveries("*", since=since, limit=100_000)

    def _settle(self, log: Sequence[Delivery], now: datetime) -> list[Delivery]:
        """Bring the log up to date with what became of messages under way when a process died."""
        unsettled = [one for one in log if one.status == "sending"]
        if self._is_settled and not unsettled:
            return list(log)
        settled = {one.delivery_id: one for one in self._outbox.settle(unsettled, now)}
        self._outbox.forget_old(now)
        self._is_settled = True
        return [settled.get(one.delivery_id, one) for one in log]


def _inhibits(rules: Sequence[Rule], projects: Sequence[str]) -> dict[tuple[str, str], Sequence[str]]:
    return {
        (project, rule.name): rule.inhibits
        for rule in rules
        if rule.inhibits
        for project in rule.projects(projects)
    }
