"""How long a tick of many rules takes, in a running server beside ingest."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench.gnomon_server import PROJECT, GnomonServer, gnomon_server
from tests.bench.machine import ROOT

from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import migrate

RULES: Final = 1_000
GROUPS: Final = 100
RATE: Final = 1_000
STEP_S: Final = 60
_EVALUATED_BY_S: Final = 25.0
"""Into a step: the allowance for late data, and one interval of the job."""

_METRICS: Final = (
    ("error_rate", 0.5), ("success_rate", 2.0), ("latency_p50_ms", 90_000), ("latency_p95_ms", 90_000),
    ("latency_p99_ms", 90_000), ("cost_usd", 1e6), ("total_tokens", 1e12), ("requests", 1e12),
    ("ttft_mean_ms", 1e6), ("output_tokens", 1e12),
)  # fmt: skip
_WINDOWS: Final = ("2m", "5m", "10m", "15m", "30m")
_FILL: Final = """
INSERT INTO {table} (project, time, service_name, environment, kind, provider, model, status, calls, duration_ms,
    input_tokens, output_tokens, calls_with_usage, cost_usd, calls_with_cost, latency_buckets, version)
SELECT '{project}', {start} + toInterval{unit}(intDiv(number, {groups})), concat('service-', toString(number % {groups})),
    'production', 'generation', 'openai', 'gpt-4o', 'ok', {calls}, {calls} * 900, {calls} * 400, {calls} * 80, {calls},
    {calls} * 0.001, {calls}, arrayMap(i -> toUInt32(if(i BETWEEN 55 AND 64, {calls} / 10, 0)), range(1, 66)), 1
FROM numbers({rows})
"""


@dataclass(frozen=True)
class Ticks:
    """What ticks took.

    Attributes:
        seconds: of each evaluation of all rules
        spans_per_s: acknowledged beside them
    """

    name: str
    rules: int
    groups: int
    seconds: list[float]
    spans_per_s: float

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


def measure_ticks(home: Path, seconds: float) -> list[Ticks]:
    """Time ticks of rules that each ask a question of their own.

    Those of the second case also compare with normal hours, earlier windows and error budgets.
    """
    cases = (
        ("1,000 different questions", "\n".join(_distinct_rules())),
        ("1,000 different questions under every kind of condition", "\n".join(_mixed_rules())),
    )
    return [_case(home / str(place), name, rules, seconds) for place, (name, rules) in enumerate(cases)]


def _case(home: Path, name: str, rules: str, seconds: float) -> Ticks:
    home.mkdir()
    alerts = home / "alerts.toml"
    alerts.write_text(rules, encoding="utf-8")
    _fill(home / "data")
    environment = {
        "GNOMON_ALERTS_FILE": str(alerts),
        "GNOMON_ALERT_DEFAULT_RULES": "false",
        "GNOMON_ALERT_STEP_S": str(STEP_S),
    }
    with gnomon_server(home / "data", environment=environment) as server:
        load = subprocess.Popen(_load(server, seconds), cwd=ROOT, stdout=subprocess.DEVNULL)
        before, started = _spans(server), time.monotonic()
        taken = _watched(server, started + seconds)
        rate = (_spans(server) - before) / (time.monotonic() - started)
        load.wait()
    return Ticks(name, RULES, GROUPS, taken, rate)


def _watched(server: GnomonServer, until: float) -> list[float]:
    """Return how long each evaluation took: the longest run of the job in each step.

    The other runs of a step read the rules again and do nothing else. The first step may have begun before, and
    the last one may end before its evaluation.
    """
    runs, longest, latest_s = 0.0, dict[int, float](), dict[int, float]()
    while time.monotonic() < until:
        found = server.metrics()
        now = found.get('gnomon_job_runs_total{job="alerts"}', 0.0)
        took = found.get('gnomon_job_last_duration_seconds{job="alerts"}', 0.0)
        if now != runs:
            step, begun_s = divmod(time.time() - took, STEP_S)
            longest[int(step)] = max(longest.get(int(step), 0.0), took)
            latest_s[int(step)] = begun_s
        runs = now
        time.sleep(0.5)
    return [longest[step] for step in sorted(longest)[1:] if latest_s[step] > _EVALUATED_BY_S]


def _spans(server: GnomonServer) -> float:
    return server.metrics().get("gnomon_ingest_spans_total", 0.0)


def _load(server: GnomonServer, seconds: float) -> list[str]:
    command = [sys.executable, "-m", "tests.bench.load", "--url", server.traces_url]
    command += ["--spans", "100", "--seconds", str(seconds), "--rate", str(RATE), "--connections", "4"]
    for name, value in server.headers:
        command += ["--header", f"{name}: {value}"]
    return command


def _fill(data_dir: Path) -> None:
    """Put a past and the minutes to come of 100 services into a database that is not served yet."""
    now = datetime.now(UTC)
    minute = f"toDateTime('{now:%Y-%m-%d %H:%M}:00', 'UTC') - INTERVAL 40 MINUTE"
    hour = f"toDateTime('{now:%Y-%m-%d %H}:00:00', 'UTC') - INTERVAL 15 DAY"
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store)
        for table, start, unit, size, calls in (
            ("calls_per_minute", minute, "Minute", 60, 20),
            ("calls_per_hour", hour, "Hour", 15 * 24, 1200),
        ):
            store.command(
                _FILL.format(
                    table=table,
                    project=PROJECT,
                    start=start,
                    unit=unit,
                    groups=GROUPS,
                    calls=calls,
                    rows=size * GROUPS,
                ),
                settings={"max_partitions_per_insert_block": 0},
            )


def _distinct_rules() -> Iterator[str]:
    """Each with a filter of its own, so that no two share a question."""
    for number in range(RULES):
        metric, limit = _METRICS[number % len(_METRICS)]
        window = _WINDOWS[number // len(_METRICS) % len(_WINDOWS)]
        yield _rule(
            number, metric, window, _above(limit), f'filter = {{ model = ["gpt-4o", "other-{number}"] }}'
        )


def _mixed_rules() -> Iterator[str]:
    """Each with a filter of its own, and each fifth with the same kind of condition."""
    for number in range(RULES):
        metric, limit = _METRICS[number // 5 % len(_METRICS)]
        conditions = (
            f'{{ kind = "threshold", above = {float(limit)} }}',
            '{ kind = "change", against = "previous", ratio = 5.0 }',
            '{ kind = "spike", direction = "above", deviations = 50.0 }',
            '{ kind = "absence", expected = 1e9 }',
            '{ kind = "burn_rate", objective = 0.99 }',
        )
        condition = conditions[number % 5]
        window = _WINDOWS[number // 5 % len(_WINDOWS)]
        chosen = f'filter = {{ model = ["gpt-4o", "other-{number}"] }}'
        yield _rule(number, "error_rate" if "burn" in condition else metric, window, condition, chosen)


def _above(limit: float) -> str:
    return f'{{ kind = "threshold", above = {float(limit)} }}'


def _rule(number: int, metric: str, window: str, condition: str, more: str) -> str:
    return (
        f'[[rule]]\nname = "rule {number}"\nmetric = "{metric}"\ngroup_by = ["service_name"]\nwindow = "{window}"\n'
        f"{more}\ncondition = {condition}\n"
    )
