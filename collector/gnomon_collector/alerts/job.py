"""The job that evaluates rules and tells people."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from gnomon_collector.alerts.abuse import FEWEST_CALLS, WINDOW, abuse_watched
from gnomon_collector.alerts.budgets import BudgetMeter, budget_rule, budgets_watched
from gnomon_collector.alerts.config import AlertConfig
from gnomon_collector.alerts.delivery import Limits, Outbox
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.heartbeat import HeartbeatJob, Pulse
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.notifier import Notifier
from gnomon_collector.alerts.rulebook import Rulebook, published
from gnomon_collector.alerts.states import Watched
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.errors import StoreError
from gnomon_collector.jobs import Job, JobParts
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, budget_states, conduct, save_document
from gnomon_collector.store.engine import Store
from gnomon_collector.store.leases import Lease, lease_for
from gnomon_collector.store.metric_queries import active_projects

_log = logging.getLogger(__name__)

_LEASE = "alerts"
_LEASE_S = 60.0
_RENEWED_AFTER_S = 20.0
_LONGEST_INTERVAL_S = 10.0
_PROJECTS_FRESH_S = 60.0
OUTBOX = "alert-outbox"


def create_alert_jobs(parts: JobParts) -> Sequence[Job]:
    """Return the jobs of alerts.

    Raises:
        ConfigError: the alerts file is wrong
    """
    settings, store = parts.settings, parts.store
    records = AlertRecords(store)
    grid = Grid(settings.alert_step_s, settings.alert_allowance_s)
    limits = Limits(settings.alert_allow_private, settings.alert_allow_http)
    outbox = Outbox(records, settings.data_dir / OUTBOX, parts.dashboard_url, limits)
    pulse = Pulse()
    return [
        AlertJob(
            parts,
            Rulebook(settings, records),
            Engine(store, records, grid),
            Notifier(records, outbox),
            lease_for(store, _LEASE, _LEASE_S),
            min(_LONGEST_INTERVAL_S, float(grid.step_s)),
            pulse,
        ),
        HeartbeatJob(store, Rulebook(settings, records), outbox, pulse),
        BudgetJob(store, Rulebook(settings, records), lease_for(store, "budgets", _LEASE_S)),
    ]


class AlertJob:
    """Evaluates all rules once per step, and sends what is due."""

    name = "alerts"

    def __init__(
        self,
        parts: JobParts,
        rulebook: Rulebook,
        engine: Engine,
        notifier: Notifier,
        lease: Lease,
        interval_s: float,
        pulse: Pulse,
    ) -> None:
        self._store = parts.store
        self._rulebook = rulebook
        self._engine = engine
        self._notifier = notifier
        self._lease = lease
        self._held_since = float("-inf")
        self._projects: tuple[str, ...] = ()
        self._projects_read_at = float("-inf")
        self._to_tell = True
        self._watches_abuse = parts.settings.alert_default_rules
        self._published: tuple[AlertConfig, Sequence[Rule]] | None = None
        self._pulse = pulse
        self.interval_s = interval_s

    def run_once(self, now: datetime) -> None:
        """Evaluate and notify.

        Raises:
            StoreError: the database does not answer; the next run makes up for it
        """
        if not self._has_lease():
            self._pulse.evaluated_at = None
            return
        self._rulebook.refresh()
        rules = self._rulebook.rules()
        self._publish(rules)
        projects = self._known_projects(now)
        tick = self._engine.evaluate(rules, projects, now, lambda end: self._others(projects, end))
        if tick is not None and (tick.changed or tick.firing):
            self._to_tell = True
        if self._to_tell:
            # looked after until nothing is left to be told
            config = self._rulebook.config
            told = [*rules, *(budget_rule(one, share) for one in config.budgets for share in one.notify_at)]
            self._to_tell = self._notifier.run(config, told, projects, now) > 0
        self._pulse.evaluated_at = now

    def close(self) -> None:
        """Let another process take over at once."""
        try:
            self._lease.release()
        except StoreError as error:
            _log.info("The lease of the alerts was not given back, it ends by itself: %s", error)

    def _others(self, projects: Sequence[str], end: datetime) -> list[Watched]:
        """What is watched in other ways: budgets, and the conduct of users."""
        budgets = self._rulebook.config.budgets
        states = budget_states(self._store) if budgets else []
        busiest = conduct(self._store, projects, end, WINDOW, FEWEST_CALLS) if self._watches_abuse else []
        return [*budgets_watched(budgets, states), *abuse_watched(busiest)]

    def _has_lease(self) -> bool:
        """Whether this process evaluates. It renews the lease in time, and starts anew when it lost it."""
        now_s = time.monotonic()
        if now_s - self._held_since < _RENEWED_AFTER_S:
            return True
        was_holding = now_s - self._held_since < _LEASE_S
        if not self._lease.hold():
            self._held_since = float("-inf")
            return False
        if not was_holding:
            self._engine.forget()
            self._notifier.forget()
            self._to_tell = True
        self._held_since = now_s
        return True

    def _publish(self, rules: Sequence[Rule]) -> None:
        """Let the dashboard know what is in force."""
        in_force = self._rulebook.config, rules
        if self._published is None or any(
            one is not other for one, other in zip(in_force, self._published, strict=True)
        ):
            save_document(self._store, CONFIG_DOCUMENT, published(*in_force))
            self._published = in_force

    def _known_projects(self, now: datetime) -> tuple[str, ...]:
        if time.monotonic() - self._projects_read_at > _PROJECTS_FRESH_S:
            self._projects = active_projects(self._store, now - timedelta(days=30))
            self._projects_read_at = time.monotonic()
        return self._projects


class BudgetJob:
    """Measures budgets every few seconds, so that who is over is refused soon."""

    name = "budgets"
    interval_s = 5.0

    def __init__(self, store: Store, rulebook: Rulebook, lease: Lease) -> None:
        self._store = store
        self._rulebook = rulebook
        self._lease = lease
        self._meter = BudgetMeter(store)
        self._is_holder = False

    def run_once(self, now: datetime) -> None:
        """Measure all budgets. Without a budget nothing is asked of the database.

        Raises:
            StoreError: the database does not answer; the next run makes up for it
        """
        self._rulebook.refresh()
        budgets = self._rulebook.config.budgets
        if not budgets and not self._meter.has_states:
            return
        holds = self._lease.hold()
        if holds and not self._is_holder:
            self._meter.forget()
        self._is_holder = holds
        if holds:
            self._meter.measure(budgets, active_projects(self._store, now - timedelta(days=30)), now)

    def close(self) -> None:
        """Let another process take over at once."""
        try:
            self._lease.release()
        except StoreError as error:
            _log.info("The lease of the budgets was not given back, it ends by itself: %s", error)
