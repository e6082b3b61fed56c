"""How long a preview over thirty days takes, for every kind of condition."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.bench.generated import PROJECT, generate

from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.preview import preview
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate

DAYS: Final = 30
_TIMES: Final = 3
_SPIKE: Final = {"kind": "spike", "direction": "above", "deviations": 5}
_ABOVE: Final = {"kind": "threshold", "above": 1}
_BY_SERVICE: Final = ("service_name",)
_CASES: Final[Mapping[str, Mapping[str, Any]]] = {
    "threshold, error rate": {"metric": "error_rate", "condition": _ABOVE},
    "threshold, latency p95 by service": {
        "metric": "latency_p95_ms", "group_by": _BY_SERVICE, "condition": _ABOVE,
    },
    "threshold, latency p95 by service, window of 1 minute": {
        "metric": "latency_p95_ms", "group_by": _BY_SERVICE, "window": "1m", "condition": _ABOVE,
    },
    "change against last week, cost by model": {
        "metric": "cost_usd", "group_by": ("model",), "window": "1h",
        "condition": {"kind": "change", "against": "last_week", "ratio": 2},
    },
    "spike, latency p95 by service": {"metric": "latency_p95_ms", "group_by": _BY_SERVICE, "condition": _SPIKE},
    "burn rate, latency by service": {
        "metric": "latency_p95_ms", "group_by": _BY_SERVICE,
        "condition": {"kind": "burn_rate", "objective": 0.9, "latency_ms": 2000},
    },
    "absence by service": {
        "metric": "requests", "group_by": _BY_SERVICE, "condition": {"kind": "absence", "expected": 20},
    },
    "threshold, cost by user, which only calls have": {
        "metric": "cost_usd", "group_by": ("user_id",), "window": "1h", "condition": _ABOVE,
    },
    "spike, cost by company over 24 hours, which only calls have": {
        "metric": "cost_usd", "group_by": ("company_id",), "window": "24h", "condition": _SPIKE,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Previews:
    """What previews of one rule took."""

    name: str
    groups: int
    seconds: list[float]

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


def measure_previews(home: Path, spans: int) -> list[Previews]:
    """Time each case over so many generated spans."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    home.mkdir()
    with open_store(f"chdb://{home / 'chdb'}", data_dir=home) as store:
        migrate(store)
        for made in generate(store, spans=spans, days=DAYS, now=now):
            print(f"{made.spans:,} spans", end="\r", flush=True)
        return [_case(store, name, case, now) for name, case in _CASES.items()]


def _case(store: Store, name: str, case: Mapping[str, Any], now: datetime) -> Previews:
    rule = Rule.model_validate({"name": name, **case})
    seconds, groups = [], 0
    for _ in range(_TIMES):
        began = time.perf_counter()
        groups = len(preview(store, rule, PROJECT, now, DAYS).groups)
        seconds.append(time.perf_counter() - began)
    return Previews(name, groups, seconds)
