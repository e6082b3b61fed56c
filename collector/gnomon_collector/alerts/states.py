"""Where one label set of a rule stands: normal → pending → firing → recovering → (resolved) normal. Pure.

Durations are not differences of the clock: each look adds the time since the last one, bounded. A clock that
is set, a machine that sleeps or a process that is down thus neither fires nor ends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.model import Rule
from gnomon_collector.store.alerts import NEVER, Instance, short_hash
from gnomon_collector.store.metric_facts import Key

_MOST_INTERVALS = 3
"""A look counts for at most so many intervals, however long ago the last one was."""

NO_DATA_RESOLVES_S = 900.0
"""A firing without any data ends after this: there is nothing left that could be failing."""


@dataclass(frozen=True)
class Look:
    """What one evaluation saw of a label set."""

    verdict: Verdict
    value: float | None
    normal: float | None
    threshold: float | None
    samples: float


@dataclass(frozen=True)
class Watched:
    """What one evaluation saw of a rule.

    Attributes:
        label_names: names of what the keys of `looks` hold after the project
    """

    rule: Rule
    label_names: tuple[str, ...]
    looks: Mapping[Key, Look]


def step(before: Instance, look: Look, rule: Rule, now: datetime, interval_s: float) -> Instance:
    """Return the instance after a look at `now`.

    Args:
        interval_s: seconds between two looks
    """
    seen = replace(
        before,
        evaluated_at=now,
        severity=rule.severity,
        value=look.value,
        normal=look.normal,
        threshold=look.threshold,
        samples=look.samples,
    )
    moved = _moved(seen, look, rule, now, _elapsed_s(before, now, interval_s))
    peak = _peak(moved, look, rule)
    return moved if peak == moved.peak else replace(moved, peak=peak)


def _moved(one: Instance, look: Look, rule: Rule, now: datetime, elapsed_s: float) -> Instance:
    held_s = one.held_s + elapsed_s
    if one.state == "normal":
        return _begun(one, rule, now) if look.verdict is Verdict.BREACH else one
    if one.state == "pending":
        if look.verdict is not Verdict.BREACH:
            return replace(one, state="normal", held_s=0.0)
        return _fired(one, now) if held_s >= rule.for_ else replace(one, held_s=held_s)
    if look.verdict in (Verdict.BREACH, Verdict.UNSURE):
        return replace(one, state="firing", held_s=held_s if one.state == "firing" else 0.0)
    if one.state == "firing":
        return replace(one, state="recovering", held_s=0.0)
    needed_s = rule.keep_firing
    if look.verdict is Verdict.NO_DATA:
        needed_s = max(needed_s, NO_DATA_RESOLVES_S)
    if held_s < needed_s:
        return replace(one, held_s=held_s)
    return replace(one, state="normal", held_s=0.0, resolved_at=now)


def _begun(one: Instance, rule: Rule, now: datetime) -> Instance:
    return _fired(one, now) if rule.for_ <= 0 else replace(one, state="pending", held_s=0.0)


def _fired(one: Instance, now: datetime) -> Instance:
    incident_id = short_hash([one.project, one.rule, one.fingerprint, now.isoformat()])
    return replace(
        one, state="firing", held_s=0.0, fired_at=now, resolved_at=None, incident_id=incident_id, peak=None
    )


def _peak(one: Instance, look: Look, rule: Rule) -> float | None:
    if one.state != "firing" or look.value is None:
        return one.peak
    if one.peak is None:
        return look.value
    return max(one.peak, look.value) if rule.is_upward else min(one.peak, look.value)


def _elapsed_s(before: Instance, now: datetime, interval_s: float) -> float:
    if before.evaluated_at == NEVER:
        return interval_s
    passed_s = (now - before.evaluated_at).total_seconds()
    if passed_s < 0:  # the clock was set back: it was one interval, most likely
        return interval_s
    return min(passed_s, _MOST_INTERVALS * interval_s)
