"""What is frozen with a firing, so that its page shows in a year what it showed at three in the morning."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from gnomon_collector.alerts.figures import figures_of
from gnomon_collector.alerts.model import BurnRate, Rule
from gnomon_collector.alerts.root_cause import causes
from gnomon_collector.alerts.watch import ask_for, bad_shares
from gnomon_collector.errors import StoreError
from gnomon_collector.store.alert_evidence import Kind, Where, examples, novelties, shares
from gnomon_collector.store.alerts import Instance
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Key, Window, read_series
from gnomon_schemas.metrics import CALL_DIMENSIONS

_log = logging.getLogger(__name__)

_SHOWN_BEFORE = timedelta(hours=3)
_CHANGES_WITHIN = timedelta(hours=2)
_COMPARED_WITH = timedelta(hours=24)
_STEP_S = 60


@dataclass(frozen=True)
class Firing:
    """A firing to be documented: the instance, its rule, and the end of the window that fired."""

    rule: Rule
    instance: Instance
    end: datetime

    @property
    def window(self) -> Window:
        """The window that fired, and the time it was pending."""
        length = self.rule.window
        if isinstance(self.rule.condition, BurnRate):
            length = self.rule.condition.pairs[0].long
        return Window(self.end - timedelta(seconds=length + self.rule.for_), self.end)

    @property
    def where(self) -> Where:
        """The calls it is about."""
        labels = self.rule.filter | {name: (value,) for name, value in self.instance.labels.items()}
        of_calls = {name: values for name, values in labels.items() if name in CALL_DIMENSIONS}
        return Where(self.instance.project, of_calls)


def gather(store: Store, firing: Firing) -> dict[str, Any]:
    """Return the evidence as values for JSON. What cannot be read is left out, and named."""
    found: dict[str, Any] = {"missing": []}
    for name, read in (
        ("series", _series),
        ("examples", _examples),
        ("causes", _causes),
        ("changes", _changes),
    ):
        try:
            found[name] = read(store, firing)
        except StoreError as error:
            _log.warning("The evidence of the alert %r lacks its %s: %s", firing.rule.name, name, error)
            found["missing"].append(name)
    return found


def kind_of(rule: Rule) -> Kind:
    """Return what kind of call shows what a rule is about."""
    unit, name = rule.definition.unit, rule.metric
    if unit == "ms":
        return "latency"
    if unit == "usd":
        return "cost"
    return "failures" if name in ("error_rate", "success_rate", "errors") else "volume"


def _series(store: Store, firing: Firing) -> dict[str, list[Any]]:
    rule, instance = firing.rule, firing.instance
    if rule.definition.sources[0] not in ("rollup", "calls"):
        return {"times": [], "values": []}
    ask = ask_for(rule, (instance.project,))
    key: Key = (instance.project, *(instance.labels.get(name, "") for name in rule.group_by))
    window_s = int(max(_STEP_S, rule.window // _STEP_S * _STEP_S))
    span = Window(firing.end - _SHOWN_BEFORE, firing.end)
    series = read_series(store, ask, span, step_s=_STEP_S, window_s=window_s, groups=[key]).get(key)
    if series is None:
        return {"times": [], "values": []}
    condition = rule.condition
    figures = (
        bad_shares(rule, condition, series.readings)
        if isinstance(condition, BurnRate)
        else figures_of(rule.definition, series.readings, 0.0)
    )
    return {
        "times": [time.isoformat() for time in series.times],
        "values": [float(one) if math.isfinite(one) else None for one in figures.value],
    }


def _examples(store: Store, firing: Firing) -> list[Mapping[str, Any]]:
    found = examples(store, firing.where, firing.window, kind_of(firing.rule), firing.instance.value)
    return [{**asdict(one), "start_time": one.start_time.isoformat()} for one in found]


def _causes(store: Store, firing: Firing) -> list[Mapping[str, Any]]:
    kind, now = kind_of(firing.rule), firing.window
    before = Window(now.start - _COMPARED_WITH, now.start)
    slow_ms = firing.instance.normal or firing.instance.threshold
    found = shares(store, firing.where, now, before, kind, slow_ms)
    told = set(firing.instance.labels)
    others = [one for one in found if one.dimension not in told]
    explained = causes(others, now.seconds / before.seconds, by_rate=kind in ("failures", "latency"))
    return [asdict(one) for one in explained]


def _changes(store: Store, firing: Firing) -> list[str]:
    window = Window(firing.window.start - _CHANGES_WITHIN, firing.end)
    past = Window(window.start - _COMPARED_WITH, window.start)
    found = [
        f"{_NAMES.get(one.dimension, one.dimension)} {one.value} first seen at {one.first_seen:%H:%M} UTC"
        f" ({one.calls} calls)"
        for one in novelties(store, firing.where, window, past)[:6]
    ]
    volume = _volume(store, firing)
    return [*found, volume] if volume else found


def _volume(store: Store, firing: Firing) -> str:
    now = firing.window
    before = Window(now.start - _COMPARED_WITH, now.start)
    rows = [
        one for one in shares(store, firing.where, now, before, "volume", None) if one.dimension == "provider"
    ]
    calls, usual = sum(one.calls_now for one in rows), sum(one.calls_before for one in rows)
    usual *= now.seconds / before.seconds
    if usual < 1 or 0.5 < calls / usual < 2:
        return ""
    return f"traffic is {calls / usual:.1f} times that of the day before"


_NAMES = {
    "model": "model",
    "prompt_version": "prompt version",
    "release": "release",
    "provider": "provider",
    "service_name": "service",
}
