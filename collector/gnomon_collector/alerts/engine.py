"""Evaluation of all rules: looks become states, states become incidents; all of it kept in the store.

The state is written before anything is told. What is told is computed from it, so a process that dies between
the two tells it after its restart.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gnomon_collector.alerts.evidence import Firing, gather
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look, step
from gnomon_collector.alerts.watch import Grid, Watcher, labels_of
from gnomon_collector.errors import StoreError
from gnomon_collector.store.alerts import NEVER, AlertRecords, Incident, Instance, fingerprint
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Key

_log = logging.getLogger(__name__)

_Id: TypeAlias = tuple[str, str, str]
_Rules: TypeAlias = Mapping[tuple[str, str], Rule]
"""By project and name."""


@dataclass(frozen=True)
class Tick:
    """What one evaluation did."""

    end: datetime
    rules: int
    failed_rules: int
    changed: int
    firing: int


class Engine:
    """Evaluates rules. One at a time may work on a store: see `gnomon_collector.store.leases`."""

    def __init__(self, store: Store, records: AlertRecords, grid: Grid) -> None:
        self._store = store
        self._records = records
        self._grid = grid
        self._watcher = Watcher(store, grid)
        self._instances: dict[_Id, Instance] | None = None
        self._last_end: datetime | None = None

    def forget(self) -> None:
        """Read the state anew at the next evaluation: another process may have written it."""
        self._instances = None
        self._last_end = None

    def evaluate(self, rules: Sequence[Rule], projects: Sequence[str], now: datetime) -> Tick | None:
        """Look at all rules, and keep what came of it. None when this was done already for this time.

        Raises:
            StoreError: the state could not be read or written
        """
        end = self._grid.end(now)
        if end == self._last_end:
            return None
        instances = self._state()
        by_name = _by_name(rules, projects)
        changed: list[Instance] = []
        failed = 0
        for rule in rules:
            try:
                changed += self._look(rule, projects, end, instances)
            except StoreError as error:
                failed += 1
                _log.warning("The rule %r could not be evaluated: %s", rule.name, error)
        changed += _orphans(instances.values(), by_name, end)
        self._keep(changed, by_name, end)
        self._last_end = end
        firing = sum(one.is_firing for one in instances.values())
        return Tick(end, len(rules), failed, len(changed), firing)

    def _state(self) -> dict[_Id, Instance]:
        if self._instances is None:
            found = {_id(one): one for one in self._records.instances()}
            self._mend(found.values())
            self._instances = found
        return self._instances

    def _look(
        self, rule: Rule, projects: Sequence[str], end: datetime, instances: Mapping[_Id, Instance]
    ) -> list[Instance]:
        wanted = rule.projects(projects)
        if not wanted or not rule.enabled:
            return []
        active = [one for one in instances.values() if one.rule == rule.name and one.state != "normal"]
        known: list[Key] = [
            (one.project, *(one.labels.get(name, "") for name in rule.group_by))
            for one in active
            if one.project in wanted and set(one.labels) == set(rule.group_by)
        ]
        looks = self._watcher.look(rule, wanted, end, known)
        return changed_instances(rule, looks, instances, end, self._grid.step_s)

    def _keep(self, changed: Sequence[Instance], rules: _Rules, end: datetime) -> None:
        instances = self._state()
        self._records.save_instances(changed)
        incidents = (self._incident(one, instances, rules, end) for one in changed)
        self._records.save_incidents([one for one in incidents if one is not None])
        for one in changed:
            instances[_id(one)] = one

    def _incident(
        self,
        one: Instance,
        before: Mapping[_Id, Instance],
        rules: _Rules,
        end: datetime,
    ) -> Incident | None:
        """The incident that a changed instance begins, goes on with or ends."""
        old = before.get(_id(one))
        if one.incident_id and one.is_firing and (old is None or old.incident_id != one.incident_id):
            return self._begin(one, rules.get((one.project, one.rule)), end)
        if not one.incident_id or old is None or not old.is_firing:
            return None
        if one.resolved_at is None and one.peak == old.peak:
            return None
        return self._update(one)

    def _begin(self, one: Instance, rule: Rule | None, end: datetime) -> Incident | None:
        if rule is None or one.fired_at is None:
            return None
        evidence = gather(self._store, Firing(rule, one, end))
        return Incident(
            incident_id=one.incident_id,
            project=one.project,
            rule=one.rule,
            metric=rule.metric,
            fingerprint=one.fingerprint,
            labels={**rule.labels, **one.labels},
            severity=one.severity,
            fired_at=one.fired_at,
            value=one.value,
            normal=one.normal,
            threshold=one.threshold,
            peak=one.peak,
            summary=rule.summary,
            runbook=rule.runbook,
            evidence=json.dumps(evidence, ensure_ascii=False),
        )

    def _update(self, one: Instance) -> Incident | None:
        kept = self._records.incident(one.project, one.incident_id)
        if kept is None:
            return None
        return replace(kept, resolved_at=one.resolved_at, peak=one.peak)

    def _mend(self, instances: Iterable[Instance]) -> None:
        """Write the incidents that a process did not get to before it died."""
        mended = []
        for one in instances:
            if not one.incident_id or one.fired_at is None:
                continue
            kept = self._records.incident(one.project, one.incident_id)
            if kept is None:
                mended.append(_bare_incident(one))
            elif kept.resolved_at != one.resolved_at:
                mended.append(replace(kept, resolved_at=one.resolved_at))
        self._records.save_incidents(mended)


def changed_instances(
    rule: Rule,
    looks: Mapping[Key, Look],
    instances: Mapping[_Id, Instance],
    end: datetime,
    interval_s: float,
) -> list[Instance]:
    """Return the instances of a rule that looks moved. Those that are and stay normal are left out."""
    changed = []
    for key, look in looks.items():
        labels = labels_of(rule, key)
        identity = (key[0], rule.name, fingerprint(labels))
        before = instances.get(identity, Instance(key[0], rule.name, labels))
        after = step(before, look, rule, end, interval_s)
        if after.state != "normal" or before.state != "normal":
            changed.append(after)
    return changed


def _orphans(instances: Iterable[Instance], rules: _Rules, end: datetime) -> list[Instance]:
    """End what was begun by a rule that is gone, switched off, or grouped otherwise now."""
    gone = []
    for one in instances:
        rule = rules.get((one.project, one.rule))
        if one.state == "normal" or (rule is not None and set(rule.group_by) == set(one.labels)):
            continue
        resolved_at = end if one.is_firing else one.resolved_at
        gone.append(replace(one, state="normal", held_s=0.0, evaluated_at=end, resolved_at=resolved_at))
    return gone


def _by_name(rules: Sequence[Rule], projects: Sequence[str]) -> dict[tuple[str, str], Rule]:
    return {
        (project, rule.name): rule for rule in rules if rule.enabled for project in rule.projects(projects)
    }


def _bare_incident(one: Instance) -> Incident:
    """An incident whose evidence was lost with the process."""
    return Incident(
        incident_id=one.incident_id,
        project=one.project,
        rule=one.rule,
        metric="",
        fingerprint=one.fingerprint,
        labels=one.labels,
        severity=one.severity,
        fired_at=one.fired_at or NEVER,
        resolved_at=one.resolved_at,
        value=one.value,
        normal=one.normal,
        threshold=one.threshold,
        peak=one.peak,
    )


def _id(one: Instance) -> _Id:
    return one.project, one.rule, one.fingerprint
