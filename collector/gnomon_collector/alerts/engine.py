"""Evaluation of all rules: looks become states, states become incidents; all of it kept in the store.

The state is written before anything is told. What is told is computed from it, so a process that dies between
the two tells it after its restart.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.evidence import Firing, gather
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look, Watched, step
from gnomon_collector.alerts.watch import Grid, Watcher
from gnomon_collector.errors import StoreError
from gnomon_collector.store.alerts import NEVER, AlertRecords, Incident, Instance, fingerprint
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Key

_log = logging.getLogger(__name__)

_Id: TypeAlias = tuple[str, str, str]
_Rules: TypeAlias = Mapping[tuple[str, str], Rule]
"""By project and name."""
_InForce: TypeAlias = Mapping[tuple[str, str], tuple[Rule, frozenset[str]]]

Others: TypeAlias = Callable[[datetime], Sequence[Watched]]
"""What is watched in other ways than by a rule's own query, at the end of a window."""


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

    def evaluate(
        self, rules: Sequence[Rule], projects: Sequence[str], now: datetime, others: Others = lambda end: ()
    ) -> Tick | None:
        """Look at all rules, and keep what came of it. None when this was done already for this time.

        Args:
            others: what is seen in other ways at a time, such as budgets

        Raises:
            StoreError: the state could not be read or written
        """
        end = self._grid.end(now)
        if end == self._last_end:
            return None
        instances = self._state()
        watched, failed = self._watch(rules, projects, end, instances)
        watched += [_with_absent(one, instances) for one in others(end)]
        step_s = self._grid.step_s
        changed = [new for one in watched for new in changed_instances(one, instances, end, step_s)]
        in_force = _in_force([rule for rule in rules if rule.enabled], watched, projects)
        changed += _orphans(instances.values(), in_force, end)
        self._keep(changed, {key: one[0] for key, one in in_force.items()}, end)
        self._last_end = end
        firing = sum(one.is_firing for one in instances.values())
        return Tick(end, len(rules), failed, len(changed), firing)

    def _watch(
        self, rules: Sequence[Rule], projects: Sequence[str], end: datetime, instances: Mapping[_Id, Instance]
    ) -> tuple[list[Watched], int]:
        """Look at every rule; one that cannot be read does not hold up the others."""
        watched, failed = [], 0
        try:
            self._watcher.prepare([rule for rule in rules if rule.enabled], projects, end)
        except StoreError as error:
            _log.warning("Rules are read one by one: %s", error)
        active: dict[str, list[Instance]] = defaultdict(list)
        for one in instances.values():
            if one.state != "normal":
                active[one.rule].append(one)
        for rule in rules:
            try:
                looks = self._look(rule, projects, end, active[rule.name])
                watched.append(Watched(rule, rule.group_by, looks))
            except StoreError as error:
                failed += 1
                _log.warning("The rule %r could not be evaluated: %s", rule.name, error)
        return watched, failed

    def _state(self) -> dict[_Id, Instance]:
        if self._instances is None:
            found = {_id(one): one for one in self._records.instances()}
            self._mend(found.values())
            self._instances = found
        return self._instances

    def _look(
        self, rule: Rule, projects: Sequence[str], end: datetime, active: Sequence[Instance]
    ) -> Mapping[Key, Look]:
        wanted = rule.projects(projects)
        if not wanted or not rule.enabled:
            return {}
        known: list[Key] = [
            (one.project, *(one.labels.get(name, "") for name in rule.group_by))
            for one in active
            if one.project in wanted and set(one.labels) == set(rule.group_by)
        ]
        return self._watcher.look(rule, wanted, end, known)

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
    watched: Watched, instances: Mapping[_Id, Instance], end: datetime, interval_s: float
) -> list[Instance]:
    """Return the instances of a rule that looks moved. Those that are and stay normal are left out."""
    changed, rule = [], watched.rule
    for key, look in watched.looks.items():
        before = instances.get(_key_id(watched, key))
        if before is None and look.verdict is not Verdict.BREACH:
            continue
        old = before or Instance(key[0], rule.name, _labels(watched, key))
        after = step(old, look, rule, end, interval_s)
        if after.state != "normal" or old.state != "normal":
            changed.append(after)
    return changed


def _with_absent(watched: Watched, instances: Mapping[_Id, Instance]) -> Watched:
    """Add a clear look for what was wrong before and is not among the looks any more."""
    names = watched.label_names
    active: dict[Key, Look] = {
        (one.project, *(one.labels[name] for name in names)): Look(Verdict.CLEAR, None, None, None, 0.0)
        for one in instances.values()
        if one.rule == watched.rule.name and one.state != "normal" and set(one.labels) == set(names)
    }
    return replace(watched, looks={**active, **watched.looks})


def _key_id(watched: Watched, key: Key) -> _Id:
    return key[0], watched.rule.name, fingerprint(_labels(watched, key))


def _labels(watched: Watched, key: Key) -> dict[str, str]:
    return dict(zip(watched.label_names, key[1:], strict=True))


def _orphans(instances: Iterable[Instance], in_force: _InForce, end: datetime) -> list[Instance]:
    """End what was begun by a rule that is gone, switched off, or grouped otherwise now."""
    gone = []
    for one in instances:
        _, label_names = in_force.get((one.project, one.rule), (None, None))
        if one.state == "normal" or label_names == frozenset(one.labels):
            continue
        resolved_at = end if one.is_firing else one.resolved_at
        gone.append(replace(one, state="normal", held_s=0.0, evaluated_at=end, resolved_at=resolved_at))
    return gone


def _in_force(rules: Sequence[Rule], watched: Sequence[Watched], projects: Sequence[str]) -> _InForce:
    """The rules by project and name with the names of their labels, those that could not be read too."""
    names = [(rule, rule.group_by) for rule in rules] + [(one.rule, one.label_names) for one in watched]
    return {
        (project, rule.name): (rule, frozenset(labels))
        for rule, labels in names
        for project in rule.projects(projects)
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
