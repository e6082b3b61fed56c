"""Prompts and their versions, side by side."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_map, as_time, optional_float
from gnomon_collector.store.queries.filters import HOUR_TABLE, Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.histogram import quantile_ms
from gnomon_schemas.conversation import parse_conversation

_SAMPLES: Final = 24
_MOST_VERSIONS: Final = 50
_COMMON_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Moments:
    """How a figure is spread over calls: number, mean, standard deviation of single values."""

    count: int
    mean: float | None
    deviation: float

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None with fewer than two values."""
        return self.deviation / self.count**0.5 if self.count > 1 else None


@dataclass(frozen=True, slots=True)
class ScoreMoments:
    """Scores of one name: number, mean (weighted by 1 / inclusion probability), its standard error."""

    name: str
    count: int
    mean: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a prompt, over the calls of a window.

    Attributes:
        scores: of its calls and their traces, by name.
    """

    version: str
    first_seen: datetime
    last_seen: datetime
    calls: int
    ok: int
    errors: int
    p50_ms: float
    p95_ms: float
    duration: Moments
    cost: Moments
    output_tokens: Moments
    ttft_ms: float | None
    models: tuple[str, ...]
    scores: tuple[ScoreMoments, ...] = field(default=())


def versions(store: Store, scope: Scope, window: Window, name: str) -> list[Version]:
    """Return the versions of a prompt that were used in a window with their scores, newest first."""
    found = versions_without_scores(store, scope, window, name)
    scores = version_scores(store, scope, window, name)
    return [replace(one, scores=scores.get(one.version, ())) for one in found]


def versions_without_scores(store: Store, scope: Scope, window: Window, name: str) -> list[Version]:
    """Return the versions of a prompt that were used in a window, newest first.

    Over more than a day and a half the figures come from the rollup per hour: when a version was first and last
    seen is to the hour then, and latencies are read from a histogram (`histogram.quantile_ms`).
    """
    found = _summed_versions(store, scope, window, name) if window.table == HOUR_TABLE else None
    return _versions_of_calls(store, scope, window, name) if found is None else found


def _summed_versions(store: Store, scope: Scope, window: Window, name: str) -> list[Version] | None:
    """The versions from the rollup, or None where rows of it are from before it had sums of squares."""
    conditions, parameters = scope_conditions(Scope(scope.project, scope.services, scope.environments))
    conditions += ["time >= {start:DateTime}", "time < {end:DateTime}", "calls > 0"]
    rows = store.query(
        f"""
        SELECT prompt_version, min(time) AS first_seen, max(time), sum(calls),
            sumIf(calls, status = 'ok'), sumIf(calls, status = 'error'), sumForEach(latency_buckets),
            sumIf(calls, status = 'ok'), sumIf(duration_ms, status = 'ok'), sumIf(duration_ms_squares, status = 'ok'),
            sum(calls_with_cost), sum(cost_usd), sum(cost_usd_squares),
            sum(calls_with_output), sum(output_tokens), sum(output_tokens_squares),
            sum(ttft_ms) / nullIf(sum(calls_with_ttft), 0), arraySort(groupUniqArray(10)(model)),
            countIf(duration_ms > 0 AND duration_ms_squares = 0)
        FROM {HOUR_TABLE} FINAL
        WHERE {" AND ".join(conditions)} AND prompt_name = {{prompt:String}}
        GROUP BY prompt_version
        ORDER BY first_seen DESC, prompt_version DESC
        LIMIT {_MOST_VERSIONS}
        """,  # noqa: S608 (conditions are constants, values are bound)
        parameters | {"prompt": name, "start": window.start, "end": window.end},
    ).rows
    return None if any(as_int(row[-1]) for row in rows) else [_summed_version(row) for row in rows]


def _versions_of_calls(store: Store, scope: Scope, window: Window, name: str) -> list[Version]:
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT prompt_version, min(start_time) AS first_seen, max(start_time), count(),
            countIf(status = 'ok'), countIf(status = 'error'), quantiles(0.5, 0.95)(duration_ns / 1e6),
            countIf(status = 'ok'), avgIf(duration_ns / 1e6, status = 'ok'), stddevSampIf(duration_ns / 1e6, status = 'ok'),
            count(cost_usd), avg(cost_usd), stddevSamp(cost_usd),
            count(output_tokens), avg(output_tokens), stddevSamp(output_tokens),
            avg(ttft_ms), arraySort(groupUniqArray(10)(model))
        FROM calls
        WHERE {where} AND prompt_name = {{prompt:String}}
        GROUP BY prompt_version
        ORDER BY first_seen DESC, prompt_version DESC
        LIMIT {_MOST_VERSIONS}
        """,  # noqa: S608 (conditions are constants, values are bound)
        parameters | {"prompt": name},
    ).rows
    return [_version(row) for row in rows]


def version_scores(
    store: Store, scope: Scope, window: Window, name: str
) -> dict[str, tuple[ScoreMoments, ...]]:
    """Return the scores of a prompt's calls, or of their traces, by version.

    The mean is Hájek's: each score counts 1 / its inclusion probability, since judges look at samples.
    """
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT used.version, judged.name, count(), sum(w), sum(w * v), sum(w * w), sum(w * w * v), sum(w * w * v * v)
        FROM (
            SELECT trace_id, name, assumeNotNull(value) AS v, 1 / ifNull(inclusion_probability, 1) AS w
            FROM scores FINAL
            WHERE project = {{project:String}} AND value IS NOT NULL AND trace_id != ''
                AND created_at >= {{start:DateTime64(9)}}
        ) AS judged
        INNER JOIN (
            SELECT trace_id, argMax(prompt_version, start_time) AS version
            FROM calls
            WHERE {where} AND prompt_name = {{prompt:String}} AND trace_id IN (
                SELECT trace_id FROM scores
                WHERE project = {{project:String}} AND value IS NOT NULL AND created_at >= {{start:DateTime64(9)}}
            )
            GROUP BY trace_id
        ) AS used ON judged.trace_id = used.trace_id
        GROUP BY used.version, judged.name
        ORDER BY used.version, judged.name
        """,  # noqa: S608 (as above)
        parameters | {"prompt": name},
    ).rows
    found: dict[str, tuple[ScoreMoments, ...]] = {}
    for version, score, count, *sums in rows:
        moments = _weighted(str(score), as_int(count), [as_float(cell) for cell in sums])
        found[str(version)] = (*found.get(str(version), ()), moments)
    return found


def texts(store: Store, scope: Scope, window: Window, name: str, version: str) -> str:
    """Return the instructions of a version: the lines that most of its latest calls have in their system message.

    A prompt is filled in at each call; lines that differ from call to call (retrieved documents, names) are
    left out. Empty where no call shows its messages.
    """
    latest = _latest_calls(store, scope, window, name, version)
    if latest is None:
        return ""
    where, parameters = _where(scope, latest)
    rows = store.query(
        f"""
        SELECT attributes, dialect
        FROM spans
        WHERE {where} AND kind = 'generation' AND prompt_name = {{prompt:String}} AND prompt_version = {{version:String}}
        ORDER BY start_time DESC
        LIMIT {_SAMPLES}
        """,  # noqa: S608 (as above)
        parameters | {"prompt": name, "version": version},
    ).rows
    shown = [_instructions(as_map(attributes), str(dialect)) for attributes, dialect in rows]
    return common_lines([text for text in shown if text])


def _latest_calls(store: Store, scope: Scope, window: Window, name: str, version: str) -> Window | None:
    """Return the part of a window with the latest calls of a version, as many as `texts` looks at; None without any.

    The rollup knows: to look for them among the spans is to read all that came after an old version's last.
    """
    conditions, parameters = scope_conditions(Scope(scope.project, scope.services, scope.environments))
    conditions += ["time >= {start:DateTime}", "time < {end:DateTime}", "calls > 0", "kind = 'generation'"]
    rows = store.query(
        f"""
        SELECT time, sum(calls)
        FROM {window.table} FINAL
        WHERE {" AND ".join(conditions)} AND prompt_name = {{prompt:String}} AND prompt_version = {{version:String}}
        GROUP BY time
        ORDER BY time DESC
        LIMIT {_SAMPLES}
        """,  # noqa: S608 (tables and conditions are constants, values are bound)
        parameters | {"prompt": name, "version": version, "start": window.start, "end": window.end},
    ).rows
    counted = itertools.accumulate(as_int(calls) for _, calls in rows)
    enough = next((at for at, calls in enumerate(counted) if calls >= _SAMPLES), len(rows) - 1)
    if not rows:
        return None
    since, until = as_time(rows[enough][0]), as_time(rows[0][0]) + timedelta(seconds=window.grain_s)
    return replace(window, start=max(window.start, since), end=min(window.end, until))


def common_lines(samples: list[str]) -> str:
    """Return the lines, in the order of the first sample, that most of the samples have."""
    if not samples:
        return ""
    split = [set(map(str.rstrip, sample.splitlines())) for sample in samples]
    needed = max(1.0, _COMMON_SHARE * len(samples))
    kept = [line.rstrip() for line in samples[0].splitlines()]
    return "\n".join(line for line in kept if sum(line in lines for lines in split) >= needed)


def _instructions(attributes: dict[str, str], dialect: str) -> str:
    talk = parse_conversation(attributes, dialect=dialect, kind="generation")
    said = [message.text for message in talk.input if message.role in ("system", "developer")]
    return "\n\n".join(said) or next((message.text for message in talk.input), "")


def _version(row: tuple[object, ...]) -> Version:
    p50, p95 = (as_float(value) for value in as_list(row[6]))
    return _described(row, (p50, p95), [_moments(row[at : at + 3]) for at in (7, 10, 13)])


def _summed_version(row: tuple[object, ...]) -> Version:
    counts = [as_int(value) for value in as_list(row[6])]
    p50, p95 = (quantile_ms(counts, q) or 0.0 for q in (0.5, 0.95))
    return _described(row, (p50, p95), [_moments_of_sums(row[at : at + 3]) for at in (7, 10, 13)])


def _described(row: tuple[object, ...], latency_ms: tuple[float, float], spread: list[Moments]) -> Version:
    duration, cost, output_tokens = spread
    return Version(
        version=str(row[0]),
        first_seen=as_time(row[1]),
        last_seen=as_time(row[2]),
        calls=as_int(row[3]),
        ok=as_int(row[4]),
        errors=as_int(row[5]),
        p50_ms=latency_ms[0],
        p95_ms=latency_ms[1],
        duration=duration,
        cost=cost,
        output_tokens=output_tokens,
        ttft_ms=_finite(row[16]),
        models=tuple(str(model) for model in as_list(row[17]) if model),
    )


def _moments(cells: tuple[object, ...]) -> Moments:
    count, mean, deviation = cells
    return Moments(as_int(count), _finite(mean), _finite(deviation) or 0.0)


def _moments_of_sums(cells: tuple[object, ...]) -> Moments:
    count, total, squares = as_int(cells[0]), as_float(cells[1]), as_float(cells[2])
    if not count:
        return Moments(0, None, 0.0)
    # rounding may leave a little less than nothing of the difference
    deviation = (max(0.0, squares - total * total / count) / (count - 1)) ** 0.5 if count > 1 else 0.0
    return Moments(count, total / count, deviation)


def _finite(cell: object) -> float | None:
    value = optional_float(cell)
    return value if value is not None and value == value else None


def _weighted(name: str, count: int, sums: list[float]) -> ScoreMoments:
    """Linearised variance of a ratio of sums: sum(w^2 (v - mean)^2) / sum(w)^2."""
    w, wv, ww, wwv, wwvv = sums
    mean = wv / w
    spread = max(0.0, wwvv - 2 * mean * wwv + mean * mean * ww)
    return ScoreMoments(name, count, mean, (spread / (w * w)) ** 0.5 if count > 1 else None)


def _where(scope: Scope, window: Window) -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(Scope(scope.project, scope.services, scope.environments))
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    return " AND ".join(conditions), parameters | {"start": window.start, "end": window.end}
