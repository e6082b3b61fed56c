"""Which spans, traces and sessions get judged: the sample is drawn in SQL, by hash, and becomes tasks.

What is drawn depends on the hash of an id alone, so drawing twice gives the same sample, and every evaluator
of a policy sees the same answers. Each task keeps the probability with which it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int

Unit = Literal["span", "trace", "session"]

STRATUM_COLUMNS: Final[Mapping[str, str]] = {
    "service": "service_name",
    "environment": "environment",
    "model": "model",
    "prompt": "prompt_name",
    "prompt_version": "prompt_version",
    "language": "language",
    "company": "company_id",
}
"""What a stratum may be told by, and its column."""

_LABELS: Final = (
    "service_name",
    "environment",
    "model",
    "prompt_name",
    "prompt_version",
    "language",
    "company_id",
    "user_id",
)
# A session or a trace takes the labels of its last model call.
_LAST_OF_CALLS: Final = ("model", "prompt_name", "prompt_version")
_ROWS_OF_UNITS: Final = """
    SELECT {key}, min(start_time) AS happened_at, max(received_at) AS last_received_at, {labels},
        sum(duration_ns * (parent_span_id = '')) / 1e6 AS duration_ms, sum(ifNull(s.cost_usd, 0)) AS spent_usd,
        countIf(status = 'error') > 0 AS has_error,
        sum(if(parent_span_id = '' OR kind = 'generation', lengthUTF8(input_text) + lengthUTF8(output_text), 0))
            AS characters
    FROM spans AS s
    WHERE project = {{project:String}} AND start_time >= {{since:DateTime64(9)}} AND {picked}
    GROUP BY {group}"""

_SPANS: Final = """
    SELECT trace_id, span_id, session_id, start_time AS happened_at, received_at AS last_received_at, {labels},
        duration_ns / 1e6 AS duration_ms, ifNull(cost_usd, 0) AS spent_usd,
        trace_id IN (SELECT trace_id FROM spans WHERE project = {{project:String}} AND status = 'error'
            AND start_time >= {{since:DateTime64(9)}}) AS has_error,
        lengthUTF8(input_text) + lengthUTF8(output_text) AS characters
    FROM calls
    WHERE project = {{project:String}} AND start_time >= {{since:DateTime64(9)}} AND {picked}
        AND kind = 'generation' AND status = 'ok' AND output_text != ''"""

# `picked` is one of the conditions below.
_WHOLE_TRACES: Final = """trace_id IN (SELECT trace_id FROM spans WHERE project = {{project:String}}
        AND parent_span_id = '' AND output_text != '' AND start_time >= {{since:DateTime64(9)}} AND {picked})"""
_WHOLE_SESSIONS: Final = """session_id IN (SELECT session_id FROM spans WHERE project = {{project:String}}
        AND session_id != '' AND start_time >= {{since:DateTime64(9)}} AND {picked})"""

_RECEIVED: Final = "received_at > {after:DateTime64(9)} AND received_at <= {until:DateTime64(9)}"
_HAPPENED: Final = "start_time > {after:DateTime64(9)} AND start_time <= {until:DateTime64(9)}"
_DISLIKED_TRACES: Final = """
    SELECT trace_id FROM scores FINAL
    WHERE project = {project:String} AND source = 'user' AND value < 0.5 AND trace_id != ''"""
_NEWLY_DISLIKED: Final = f"""trace_id IN ({_DISLIKED_TRACES}
    AND received_at > {{after:DateTime64(9)}} AND received_at <= {{until:DateTime64(9)}})"""

_TASK_COLUMNS: Final = (
    "task_id, project, evaluator, evaluator_version, unit, trace_id, span_id, session_id, happened_at,"
    f" {', '.join(_LABELS)}, policy, origin, inclusion_probability, state, planned_at, changed_at, version"
)


@dataclass(frozen=True)
class Stratum:
    """A part of the traffic with a rate of its own. `where` goes from a key of `STRATUM_COLUMNS` to a value."""

    where: Mapping[str, str]
    rate: float


@dataclass(frozen=True)
class Boosts:
    """Probabilities that what looks bad gets at the least; 0 leaves it at the rate.

    Attributes:
        errors: of answers in a trace in which something failed
        thumbs_down: of answers that a user disliked, also when the judgement comes later
        slow, slow_ms: of answers that took at least so many milliseconds
        expensive, expensive_usd: of answers that cost at least so much
    """

    errors: float = 0.0
    thumbs_down: float = 0.0
    slow: float = 0.0
    slow_ms: float = 10_000.0
    expensive: float = 0.0
    expensive_usd: float = 0.05


@dataclass(frozen=True)
class Sample:
    """What to draw.

    Attributes:
        unit: what is judged
        policy: name of the policy; it seeds the hash
        rate: probability of what is in no stratum
        evaluators: (name, version) of those that judge
        after, until: received in (`after`, `until`], or started in it when `by_start`
        since: no span before this is looked at
        drifting: conditions like a stratum's, for what drifts now; a match gets at least its rate
    """

    project: str
    unit: Unit
    policy: str
    rate: float
    evaluators: Sequence[tuple[str, str]]
    after: datetime
    until: datetime
    since: datetime
    strata: Sequence[Stratum] = ()
    boosts: Boosts = field(default_factory=Boosts)
    drifting: Sequence[Stratum] = ()
    by_start: bool = False


@dataclass(frozen=True)
class Drawn:
    """What a sample comes to: answers, tasks, of how many, and the mean characters of an answer with its question."""

    population: int
    sampled: int
    tasks: int
    mean_characters: float


def plan(store: Store, sample: Sample) -> None:
    """Make the tasks of a sample; those that are there stay as they are.

    A thumb down may come after the answer was passed over, or drawn with a lower probability: then it is
    drawn now, or its probability is corrected.
    """
    _insert(store, sample, _HAPPENED if sample.by_start else _RECEIVED)
    if sample.boosts.thumbs_down > 0 and not sample.by_start and sample.unit != "session":
        _insert(store, sample, _NEWLY_DISLIKED)
        _raise_probabilities(store, sample)


def preview(store: Store, sample: Sample) -> Drawn:
    """Say what `plan` would make of a sample, without making it."""
    probability, parameters = _probability(sample)
    row = store.query(
        f"""
        SELECT count(), countIf(is_drawn), avgIf(characters, is_drawn)
        FROM (SELECT *, {probability} AS p, {_hash_of(sample)} < p AS is_drawn FROM ({_rows(sample, _HAPPENED if sample.by_start else _RECEIVED)}))
        """,  # noqa: S608  (names of this module)
        {**_window(sample), **parameters, "policy": sample.policy},
    ).rows[0]
    drawn = as_int(row[1])
    mean = as_float(row[2]) if drawn else 0.0
    return Drawn(as_int(row[0]), drawn, drawn * len(sample.evaluators), mean)


def plan_statement(sample: Sample, picked: str = _RECEIVED) -> str:
    """Return the SQL that makes the tasks of a sample, for `plan` and for review."""
    probability, _ = _probability(sample)
    return f"""
INSERT INTO judge_tasks ({_TASK_COLUMNS})
SELECT lower(hex(sipHash128({{project:String}}, {{unit:String}}, trace_id, span_id, session_key, e.2))) AS new_task_id,
    {{project:String}}, e.1, e.2, {{unit:String}}, trace_id, span_id, session_id, happened_at,
    {", ".join(_LABELS)}, {{policy:String}}, {{origin:String}}, p, 'waiting', now64(3), now64(3), 0
FROM (
    SELECT *, {"session_id" if sample.unit == "session" else "''"} AS session_key, least(1, {probability}) AS p,
        arrayJoin(arrayZip({{evaluators:Array(String)}}, {{versions:Array(String)}})) AS e
    FROM ({_rows(sample, picked)}
    )
    WHERE {_hash_of(sample)} < p
)
WHERE new_task_id NOT IN (SELECT task_id FROM judge_tasks WHERE project = {{project:String}}
    AND evaluator IN {{evaluators:Array(String)}} AND happened_at >= {{since:DateTime64(9)}})
"""  # noqa: S608  (names of this module)


def _insert(store: Store, sample: Sample, picked: str) -> None:
    _, parameters = _probability(sample)
    store.command(
        plan_statement(sample, picked),
        {
            **_window(sample),
            **parameters,
            "unit": sample.unit,
            "policy": sample.policy,
            "origin": "backfill" if sample.by_start else "online",
            "evaluators": [name for name, _ in sample.evaluators],
            "versions": [version for _, version in sample.evaluators],
        },
    )


def _raise_probabilities(store: Store, sample: Sample) -> None:
    """An answer that would have been drawn with the higher probability counts with that one."""
    disliked = f"project = {{project:String}} AND {_NEWLY_DISLIKED}"
    lower = "inclusion_probability < {boost:Float64}"
    parameters: dict[str, object] = {
        "project": sample.project,
        "after": sample.after,
        "until": sample.until,
        "boost": sample.boosts.thumbs_down,
        "policy": sample.policy,
    }
    store.command(
        f"""INSERT INTO scores SELECT * REPLACE ({{boost:Float64}} AS inclusion_probability, now64(9) AS received_at)
        FROM (SELECT * FROM scores FINAL WHERE {disliked} AND source = 'judge' AND {lower} AND score_id IN (
            SELECT task_id FROM judge_tasks WHERE project = {{project:String}} AND policy = {{policy:String}}))""",  # noqa: S608
        parameters,
    )
    store.command(
        f"""INSERT INTO judge_tasks SELECT * REPLACE ({{boost:Float64}} AS inclusion_probability,
            now64(3) AS changed_at, toUnixTimestamp64Nano(now64(9)) AS version)
        FROM (SELECT * FROM judge_tasks FINAL WHERE {disliked} AND {lower} AND policy = {{policy:String}}
            AND origin = 'online')""",  # noqa: S608
        parameters,
    )


def _rows(sample: Sample, picked: str) -> str:
    """SQL for the answers of a sample, one row each, before the draw."""
    if sample.unit == "span":
        return _SPANS.format(labels=", ".join(_LABELS), picked=picked)
    labels = ", ".join(_label_of_unit(name) for name in _LABELS)
    if sample.unit == "trace":
        chosen = _WHOLE_TRACES.format(picked=picked)
        key = "trace_id, '' AS span_id, max(session_id) AS session_id"
        return _ROWS_OF_UNITS.format(key=key, labels=labels, picked=chosen, group="trace_id")
    chosen = _WHOLE_SESSIONS.format(picked=picked)
    key = "'' AS trace_id, '' AS span_id, session_id"
    rows = _ROWS_OF_UNITS.format(key=key, labels=labels, picked=chosen, group="session_id")
    # Whoever went on after the window is looked at when that window comes.
    return f"{rows} HAVING max({'start_time' if sample.by_start else 's.received_at'}) <= {{until:DateTime64(9)}}"


def _label_of_unit(name: str) -> str:
    if name == "model":
        return (
            "argMaxIf(if(response_model != '', response_model, request_model), start_time,"
            " kind = 'generation') AS model"
        )
    if name in _LAST_OF_CALLS:
        return f"argMaxIf({name}, start_time, kind = 'generation') AS {name}"
    return f"max({name}) AS {name}"


def _probability(sample: Sample) -> tuple[str, dict[str, object]]:
    """SQL for the probability with which a row is drawn, and its parameters."""
    parameters: dict[str, object] = {"rate": sample.rate}
    base = _choice(sample.strata, "stratum", "{rate:Float64}", parameters)
    floors = [base, _choice(sample.drifting, "drifting", "0", parameters)]
    boosts = sample.boosts
    for name, share, condition in (
        ("errors", boosts.errors, "has_error"),
        ("thumbs_down", boosts.thumbs_down, f"trace_id IN ({_DISLIKED_TRACES})"),
        ("slow", boosts.slow, "duration_ms >= {slow_ms:Float64}"),
        ("expensive", boosts.expensive, "spent_usd >= {expensive_usd:Float64}"),
    ):
        if share <= 0:
            continue
        floors.append(f"if({condition}, {{{name}:Float64}}, 0)")
        parameters[name] = share
        parameters |= {"slow_ms": boosts.slow_ms} if name == "slow" else {}
        parameters |= {"expensive_usd": boosts.expensive_usd} if name == "expensive" else {}
    return f"toFloat64(greatest({', '.join(floors)}))", parameters


def _choice(strata: Sequence[Stratum], prefix: str, otherwise: str, parameters: dict[str, object]) -> str:
    """SQL for the rate of the first stratum that a row is in."""
    cases = []
    for number, stratum in enumerate(strata):
        conditions = []
        for key, value in stratum.where.items():
            name = f"{prefix}_{number}_{key}"
            conditions.append(f"{STRATUM_COLUMNS[key]} = {{{name}:String}}")
            parameters[name] = value
        parameters[f"{prefix}_{number}_rate"] = stratum.rate
        cases.append(f"{' AND '.join(conditions) or '1'}, {{{prefix}_{number}_rate:Float64}}")
    return f"multiIf({', '.join(cases)}, {otherwise})" if cases else otherwise


def _hash_of(sample: Sample) -> str:
    key = "session_id" if sample.unit == "session" else "trace_id, span_id"
    return f"sipHash64({{policy:String}}, {key}) / 18446744073709551616"


def _window(sample: Sample) -> dict[str, object]:
    return {
        "project": sample.project,
        "after": sample.after,
        "until": sample.until,
        "since": min(sample.since, sample.after) if sample.by_start else sample.since,
    }


def backfill_since(after: datetime) -> datetime:
    """Return from where spans are looked at for what started after `after`: a session may have begun before."""
    return after - timedelta(days=1)
