"""A rule as TOML text, for people to edit. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon_collector.alerts.model import Rule, duration_text

_DURATIONS = frozenset({"window", "for", "keep_firing", "long", "short"})
_ORDER = ("name", "metric", "filter", "group_by", "window", "for", "keep_firing", "min_count", "confidence")

TEMPLATE = """\
name = "Slow answers"
metric = "latency_p95_ms"      # docs/alerts.md lists the metrics
group_by = ["service_name"]    # each value fires by itself
window = "5m"
for = "2m"                     # must last so long before it fires
min_count = 20                 # fewer calls say nothing
severity = "warning"           # critical, warning or info

[condition]
kind = "threshold"             # or change, spike, burn_rate, absence
above = 5000                   # in the metric's unit: ms
"""


def rule_text(rule: Rule) -> str:
    """Return a rule as TOML, what is left to the defaults left out."""
    said = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    condition = {"kind": rule.condition.kind, **said.pop("condition", {})}
    for name in ("project", "except_projects"):
        said.pop(name, None)
    names = [*(name for name in _ORDER if name in said), *(name for name in said if name not in _ORDER)]
    lines = [f"{name} = {_value(name, said[name])}" for name in names]
    lines += ["", "[condition]", *(f"{name} = {_value(name, value)}" for name, value in condition.items())]
    return "\n".join(lines) + "\n"


def _value(name: str, value: Any) -> str:
    if name in _DURATIONS and isinstance(value, int | float):
        return json.dumps(duration_text(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(key, one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value("", one) for one in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return (
        name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name, ensure_ascii=False)
    )
