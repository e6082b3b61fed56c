"""What an alert rule is: read from TOML, checked, and immutable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from gnomon_schemas.metrics import Metric, Quantile, Rate, metric

Severity: TypeAlias = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")


def parse_duration_s(value: object) -> float:
    """Return the seconds of ``90``, ``"90s"``, ``"5m"``, ``"1h30m"`` or ``"14d"``.

    Raises:
        ValueError: it is none of these
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a duration is a number of seconds, or a text such as 5m, 1h30m or 14d")
    if isinstance(value, int | float):
        return float(value)
    parts = _DURATION.findall(value)
    if not parts or "".join(amount + unit for amount, unit in parts) != value.replace(" ", ""):
        raise ValueError(f"{value!r} is no duration: write for example 90s, 5m, 1h30m or 14d")
    return sum(float(amount) * _UNITS_S[unit] for amount, unit in parts)


def duration_text(seconds: float) -> str:
    """Return a duration as rules spell it: the largest unit that divides it."""
    return "".join(in_largest_unit(seconds, _UNITS_S))


def in_largest_unit(seconds: float, units_s: dict[str, int]) -> tuple[str, str]:
    """Return a duration as a number and the largest of some units that divides it; seconds where none does.

    Args:
        units_s: seconds of each unit, the shortest first.
    """
    for unit, size_s in reversed(units_s.items()):
        if seconds >= size_s and seconds % size_s == 0:
            return f"{seconds / size_s:.0f}", unit
    return f"{seconds:g}", "s"


Duration = Annotated[float, BeforeValidator(parse_duration_s), Field(ge=0, le=90 * 86_400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Threshold(_Strict):
    """The value is above or below a fixed limit.

    Attributes:
        resolve: limit at which a firing ends; by default the same
    """

    kind: Literal["threshold"] = "threshold"
    above: float | None = None
    below: float | None = None
    resolve: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("a threshold has either `above` or `below`")
        return self


class Change(_Strict):
    """The value differs from that of an earlier window by a ratio.

    Attributes:
        against: the window just before, or the same one a week (or a day) ago
        ratio: 2 fires at twice the earlier value, 0.5 at half of it
        floor: smallest difference that matters, in the metric's unit
    """

    kind: Literal["change"]
    against: Literal["previous", "yesterday", "last_week"] = "previous"
    ratio: float = Field(gt=0)
    floor: float = Field(0, ge=0)

    @field_validator("ratio")
    @classmethod
    def _differs(cls, value: float) -> float:
        if value == 1:
            raise ValueError("a ratio of 1 is no change: above 1 fires on a rise, below 1 on a fall")
        return value

    @property
    def offset(self) -> timedelta | None:
        """How long ago the earlier window was; None for the window just before."""
        return {"previous": None, "yesterday": timedelta(days=1), "last_week": timedelta(weeks=1)}[
            self.against
        ]


class Spike(_Strict):
    """The value leaves what is normal at this time of day: median ± deviations · scaled MAD.

    Attributes:
        deviations: how many scaled median absolute deviations are still normal
        floor: smallest difference from the median that matters, in the metric's unit
        floor_ratio: the same, as a share of the median
        days: how much of the past tells what is normal
    """

    kind: Literal["spike"]
    direction: Literal["above", "below"] = "above"
    deviations: float = Field(6, gt=0)
    floor: float = Field(0, ge=0)
    floor_ratio: float = Field(0.5, ge=0)
    days: int = Field(14, ge=1, le=35)


class BurnPair(_Strict):
    """A long and a short window, both of which must burn the error budget `factor` times too fast."""

    long: Duration
    short: Duration
    factor: float = Field(gt=0)


# Google, The Site Reliability Workbook, chapter 5: 2 % of a month's budget in 1 h, 5 % in 6 h, 10 % in 3 d.
_BURN_PAIRS = (
    BurnPair(long=3_600, short=300, factor=14.4),
    BurnPair(long=21_600, short=1_800, factor=6),
    BurnPair(long=259_200, short=21_600, factor=1),
)


class BurnRate(_Strict):
    """An objective's error budget is used up too fast.

    Attributes:
        objective: share of good calls that is promised, such as 0.995
        latency_ms: for latency metrics: a call is good when it is faster
    """

    kind: Literal["burn_rate"]
    objective: float = Field(gt=0, lt=1)
    latency_ms: float | None = Field(None, gt=0)
    pairs: tuple[BurnPair, ...] = Field(_BURN_PAIRS, min_length=1, max_length=4)


class Absence(_Strict):
    """Nothing came, where the same time of earlier days says that something should have.

    Attributes:
        expected: fires only where at least so many calls are normal in the window
        days: how much of the past tells what is normal
    """

    kind: Literal["absence"]
    expected: float = Field(20, gt=0)
    days: int = Field(14, ge=1, le=35)


Condition: TypeAlias = Annotated[Threshold | Change | Spike | BurnRate | Absence, Field(discriminator="kind")]
Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
LabelText = Annotated[str, Field(max_length=300)]


def _as_tuple(value: object) -> object:
    return [value] if isinstance(value, str) else value


FilterValues = Annotated[
    tuple[Annotated[str, Field(max_length=500)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1, max_length=200),
]


class Rule(_Strict):
    """An alert rule.

    Attributes:
        name: unique in its project
        metric: a name of the metric catalogue
        project: the project it looks at, ``*`` for each
        filter: dimension → values of which one must match
        group_by: each combination of these dimensions is watched, and fires, by itself
        window: seconds of data that one value is computed from
        for_: seconds that the condition must hold before it fires
        keep_firing: seconds that it must be over before the firing ends
        min_count: calls (or scores) that a window must have to say anything
        confidence: of the interval that must lie beyond the limit; 0 looks at the bare value
        inhibits: names of rules that need not be told of while this one fires in the same project
        except_projects: where a rule for all projects does not apply
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    name: Name
    metric: str
    project: Annotated[str, Field(min_length=1, max_length=100)] = "*"
    filter: dict[str, FilterValues] = Field(default_factory=dict)
    group_by: Annotated[tuple[str, ...], Field(max_length=4)] = ()
    window: Duration = 300.0
    for_: Duration = Field(60.0, alias="for")
    keep_firing: Duration = 300.0
    min_count: float = Field(10, ge=0)
    confidence: float = Field(0.95, ge=0, lt=1)
    severity: Severity = "warning"
    labels: dict[str, LabelText] = Field(default_factory=dict)
    summary: Annotated[str, Field(max_length=500)] = ""
    runbook: Annotated[str, Field(max_length=1000, pattern=r"^(https?://\S+)?$")] = ""
    inhibits: tuple[Name, ...] = ()
    except_projects: tuple[str, ...] = ()
    enabled: bool = True
    condition: Condition

    @model_validator(mode="after")
    def _fits_its_metric(self) -> Self:
        found = metric(self.metric)
        found.source_for(self.dimensions)
        if self.window < 1:
            raise ValueError("window must be at least 1s")
        if isinstance(self.condition, BurnRate):
            _check_burn(self.condition, found)
        return self

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What the rule filters and groups by."""
        return tuple(dict.fromkeys((*self.group_by, *sorted(self.filter))))

    @property
    def definition(self) -> Metric:
        """The metric's entry in the catalogue."""
        return metric(self.metric)

    def projects(self, known: Sequence[str]) -> tuple[str, ...]:
        """Return those of the `known` projects that the rule is for."""
        wanted = known if self.project == "*" else [self.project]
        return tuple(one for one in wanted if one not in self.except_projects)

    @property
    def is_upward(self) -> bool:
        """Whether the rule fires on high values."""
        condition = self.condition
        if isinstance(condition, Threshold):
            return condition.above is not None
        if isinstance(condition, Change):
            return condition.ratio > 1
        return not isinstance(condition, Absence) and not (
            isinstance(condition, Spike) and condition.direction == "below"
        )


def _check_burn(condition: BurnRate, found: Metric) -> None:
    if condition.latency_ms is None and not isinstance(found.form, Rate):
        raise ValueError("a burn rate needs a rate (success_rate), or latency_ms and a latency metric")
    if condition.latency_ms is not None and not isinstance(found.form, Quantile):
        raise ValueError("latency_ms goes with a latency metric, such as latency_p95_ms")


def explain_validation(errors: list[Any]) -> str:
    """Return what pydantic found wrong, in a line for people."""
    return "; ".join(
        f"{'.'.join(map(str, error['loc'])) or 'rule'}: {error['msg'].removeprefix('Value error, ')}"
        for error in errors[:5]
    )
