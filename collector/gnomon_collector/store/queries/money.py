"""What it costs: the month so far, judges apart, models without a price, what prompt caches saved."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_time, optional_float
from gnomon_collector.store.queries.filters import Scope, Window, scope_conditions

_RATE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Month:
    """Cost of the present month.

    Attributes:
        so_far_usd: since the first of the month, in UTC.
        per_hour_usd: mean of the last seven days, or of the time since the first call where that is shorter.
        remaining_h: hours to the end of the month.
    """

    so_far_usd: float
    per_hour_usd: float
    remaining_h: float

    @property
    def forecast_usd(self) -> float:
        """Cost of the whole month when it goes on as in the last seven days."""
        return self.so_far_usd + self.per_hour_usd * self.remaining_h


@dataclass(frozen=True, slots=True)
class JudgeSpend:
    """What judges cost in one bucket, by the name of their score."""

    time: datetime
    name: str
    cost_usd: float
    scores: int


@dataclass(frozen=True, slots=True)
class PriceGap:
    """Calls that reported tokens of a model without a known price."""

    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class PromptCache:
    """What a provider's prompt cache did for a model.

    Attributes:
        saved_usd: cached input tokens times the difference between the price of input and of cached input, as
            listed last and at the first tier; None where one of the two is not known.
    """

    provider: str
    model: str
    calls: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    saved_usd: float | None


def month(store: Store, scope: Scope, now: datetime) -> Month:
    """Return the cost of the month that `now` (UTC) is in."""
    conditions, parameters = scope_conditions(scope)
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    week = now - timedelta(days=_RATE_DAYS)
    rows = store.query(
        f"""
        SELECT sumIf(cost_usd, time >= {{first:DateTime}}), sumIf(cost_usd, time >= {{week:DateTime}}),
            minIf(time, time >= {{week:DateTime}})
        FROM calls_per_hour FINAL
        WHERE {" AND ".join(conditions)} AND calls > 0
            AND time >= {{since:DateTime}} AND time < {{now:DateTime}}
        """,  # noqa: S608 (conditions are constants, values are bound)
        parameters | {"first": first, "week": week, "since": min(first, week), "now": now},
    ).rows
    so_far, of_week, began = rows[0]
    covered_h = max(1.0, (now - max(week, as_time(began))).total_seconds() / 3600)
    return Month(as_float(so_far), as_float(of_week) / covered_h, (following - now).total_seconds() / 3600)


def judge_spend(store: Store, scope: Scope, window: Window) -> list[JudgeSpend]:
    """Return what judges cost per bucket and score name; filters other than the project do not apply."""
    rows = store.query(
        """
        SELECT toStartOfInterval(created_at, toIntervalSecond({step:UInt32}), 'UTC') AS bucket, name,
            sum(cost_usd), count()
        FROM scores FINAL
        WHERE project = {project:String} AND cost_usd > 0
            AND created_at >= {start:DateTime64(9)} AND created_at < {end:DateTime64(9)}
        GROUP BY bucket, name
        ORDER BY bucket, name
        """,
        {"project": scope.project, "start": window.start, "end": window.end, "step": window.step_s},
    ).rows
    return [JudgeSpend(as_time(time), str(name), as_float(cost), as_int(n)) for time, name, cost, n in rows]


def price_gaps(store: Store, scope: Scope, window: Window) -> list[PriceGap]:
    """Return models whose calls reported tokens but have no price, most calls first."""
    conditions, parameters = scope_conditions(scope)
    rows = store.query(
        f"""
        SELECT provider, model, sum(calls_with_usage) - sum(calls_with_cost) AS gap, sum(input_tokens),
            sum(output_tokens)
        FROM {window.table} FINAL
        WHERE {" AND ".join(conditions)} AND calls_with_usage > calls_with_cost
            AND time >= {{start:DateTime}} AND time < {{end:DateTime}}
        GROUP BY provider, model
        ORDER BY gap DESC, provider, model
        LIMIT 50
        """,  # noqa: S608 (tables and conditions are constants, values are bound)
        parameters | {"start": window.start, "end": window.end},
    ).rows
    return [PriceGap(str(row[0]), str(row[1]), *(as_int(cell) for cell in row[2:])) for row in rows]


def prompt_caches(store: Store, scope: Scope, window: Window) -> list[PromptCache]:
    """Return input tokens, cached ones and what caching them saved, by model, most tokens first."""
    conditions, parameters = scope_conditions(scope)
    rows = store.query(
        f"""
        SELECT used.provider, used.model, used.n, used.tokens_in, used.tokens_read, used.tokens_write,
            used.tokens_read * (prices.per_input - prices.per_read) / 1e6
        FROM (
            SELECT provider, model, sum(calls) AS n, sum(input_tokens) AS tokens_in,
                sum(cache_read_tokens) AS tokens_read, sum(cache_write_tokens) AS tokens_write
            FROM {window.table} FINAL
            WHERE {" AND ".join(conditions)} AND calls > 0
                AND time >= {{start:DateTime}} AND time < {{end:DateTime}}
            GROUP BY provider, model
            HAVING tokens_in > 0
        ) AS used
        LEFT JOIN (
            SELECT provider, model, argMax(input_usd[1], valid_from) AS per_input,
                argMax(cache_read_usd[1], valid_from) AS per_read
            FROM model_prices FINAL
            WHERE notEmpty(input_usd) AND notEmpty(cache_read_usd) AND valid_from < {{end:DateTime}}
            GROUP BY provider, model
        ) AS prices ON used.provider = prices.provider AND used.model = prices.model
        ORDER BY used.tokens_in DESC, used.model
        LIMIT 50
        SETTINGS join_use_nulls = 1
        """,  # noqa: S608 (as above)
        parameters | {"start": window.start, "end": window.end},
    ).rows
    return [
        PromptCache(
            str(row[0]),
            str(row[1]),
            as_int(row[2]),
            as_int(row[3]),
            as_int(row[4]),
            as_int(row[5]),
            optional_float(row[6]),
        )
        for row in rows
    ]
