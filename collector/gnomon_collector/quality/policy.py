"""What is judged, how often, and for how much a day: ``judge.toml`` (docs/judge.md).

Without a file there is one policy for every project: two answers in a hundred, on four evaluators, and all
that users disliked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gnomon_collector.errors import ConfigError
from gnomon_collector.quality.evaluators import Evaluator, explain
from gnomon_collector.store.judge_sampling import STRATUM_COLUMNS, Boosts, Stratum
from gnomon_collector.store.own_projects import CANARY_PROJECT, JUDGE_PROJECT
from gnomon_collector.store.quality_checks import CheckKind
from gnomon_collector.store.quality_parsing import schema_check

EVERY_PROJECT: Final = "*"
POLICY_FILE: Final = "judge.toml"

Share = float


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StratumTable(_Table):
    """``[[policies.strata]]``: a part of the traffic with a rate of its own; the first that fits counts."""

    where: dict[str, str]
    rate: Share = Field(ge=0, le=1)

    @field_validator("where")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value) - set(STRATUM_COLUMNS))
        if unknown or not value:
            raise ValueError(
                f"a stratum is told by {', '.join(STRATUM_COLUMNS)}, not by {unknown or 'nothing'}"
            )
        return value


class BoostTable(_Table):
    """``[policies.boost]``: the least probability of what looks bad."""

    errors: Share = Field(default=0.0, ge=0, le=1)
    thumbs_down: Share = Field(default=0.0, ge=0, le=1)
    slow: Share = Field(default=0.0, ge=0, le=1)
    slow_ms: float = Field(default=10_000.0, gt=0)
    expensive: Share = Field(default=0.0, ge=0, le=1)
    expensive_usd: float = Field(default=0.05, gt=0)
    drifting: Share = Field(default=0.0, ge=0, le=1)

    def boosts(self) -> Boosts:
        """Return it as the draw takes it."""
        return Boosts(**self.model_dump(exclude={"drifting"}))


class PolicyTable(_Table):
    """``[[policies]]``: who judges what, and how much of it.

    Attributes:
        name: seeds the draw; another name draws other answers
        project: one project, or ``*`` for each that has no policy of its own
        lookback_hours: spans that start longer ago than this are not drawn online when they come in late
        session_idle_minutes: a session is judged after so long without a call
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,60}$")
    project: str = Field(min_length=1, max_length=100)
    evaluators: tuple[str, ...] = Field(min_length=1)
    unit: Literal["span", "trace", "session"] = "span"
    rate: Share = Field(ge=0, le=1)
    strata: tuple[StratumTable, ...] = ()
    boost: BoostTable = BoostTable()
    lookback_hours: float = Field(default=48.0, gt=0, le=24 * 400)
    session_idle_minutes: float = Field(default=30.0, gt=0, le=24 * 60)

    def strata_of_draw(self) -> list[Stratum]:
        """Return the strata as the draw takes them."""
        return [Stratum(one.where, one.rate) for one in self.strata]


class BudgetTable(_Table):
    """``[[budgets]]``: the most that judging a project may take in a day (UTC); ``*``: each other project."""

    project: str = EVERY_PROJECT
    usd_per_day: float = Field(default=1.0, ge=0)
    calls_per_day: int = Field(default=5_000, ge=0)


class CheckTable(_Table):
    """``[[checks]]``: a check by code over all answers; see `checks`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")
    kind: CheckKind
    project: str = EVERY_PROJECT
    prompt: str = ""
    pattern: str = Field(default="", max_length=2_000)
    characters: int = Field(default=0, ge=0)
    json_schema: str = Field(default="", max_length=100_000, alias="schema")

    @model_validator(mode="after")
    def _complete(self) -> CheckTable:
        if self.kind.endswith("regex") and not self.pattern:
            raise ValueError("a regex check needs a pattern")
        if self.kind.endswith("_length") and not self.characters:
            raise ValueError("a length check needs characters")
        if self.kind == "json_schema":
            self._check_schema()
        return self

    def _check_schema(self) -> None:
        if not self.json_schema:
            raise ValueError("a json_schema check needs a schema")
        try:
            schema_check(self.json_schema)
        except ConfigError as error:
            raise ValueError(str(error)) from None


class CanaryTable(_Table):
    """``[[canaries]]``: a fixed prompt, sent to models on a schedule; see `canaries`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")
    prompt: str = Field(min_length=1, max_length=20_000)
    system: str = Field(default="", max_length=20_000)
    models: tuple[str, ...] = Field(min_length=1)
    every_minutes: int = Field(default=360, ge=1, le=7 * 24 * 60)
    reference: str = Field(default="", max_length=20_000)
    pattern: str = Field(default="", max_length=2_000)
    max_tokens: int = Field(default=400, ge=1, le=8_000)


class JudgePolicy(_Table):
    """The whole file."""

    rubrics: tuple[str, ...] = ()
    policies: tuple[PolicyTable, ...] = ()
    budgets: tuple[BudgetTable, ...] = ()
    checks: tuple[CheckTable, ...] = ()
    canaries: tuple[CanaryTable, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> JudgePolicy:
        for what, names in (
            ("policies", [(one.project, one.name) for one in self.policies]),
            ("budgets", [(one.project,) for one in self.budgets]),
            ("checks", [(one.name,) for one in self.checks]),
            ("canaries", [(one.name,) for one in self.canaries]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"two of the {what} have the same name")
        return self

    def policies_of(self, project: str) -> list[PolicyTable]:
        """Return the policies of a project: its own, else those for every project.

        The judge's own has none, and that of canaries is judged whole unless a policy says otherwise.
        """
        if project == JUDGE_PROJECT:
            return []
        own = [one for one in self.policies if one.project == project]
        if project == CANARY_PROJECT:
            return own or ([_CANARY_POLICY] if self.canaries else [])
        return own or [one for one in self.policies if one.project == EVERY_PROJECT]

    def budget_of(self, project: str) -> BudgetTable:
        """Return the budget of a project: its own, else that for every project."""
        by_project = {one.project: one for one in self.budgets}
        return by_project.get(project) or by_project.get(EVERY_PROJECT) or BudgetTable()


_CANARY_POLICY: Final = PolicyTable(
    name="canary", project=CANARY_PROJECT, evaluators=("correctness",), rate=1.0
)
DEFAULT_POLICY: Final = JudgePolicy(
    policies=(
        PolicyTable(
            name="default",
            project=EVERY_PROJECT,
            evaluators=("groundedness", "relevance", "refusal", "toxicity"),
            rate=0.02,
            boost=BoostTable(thumbs_down=1.0),
        ),
    )
)


def load_policy(path: Path) -> JudgePolicy:
    """Return the policy of a file, or the default where there is none.

    Raises:
        ConfigError: it cannot be read, is no TOML, or a value makes no sense
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return DEFAULT_POLICY
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the judge's policy {path}: {error}.") from None
    return parse_policy(text, str(path))


def parse_policy(text: str, origin: str) -> JudgePolicy:
    """Return the policy that a TOML text describes.

    Raises:
        ConfigError: it is no TOML, or a value makes no sense; `origin` names the file
    """
    try:
        policy = JudgePolicy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The judge's policy {origin} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise ConfigError(f"The judge's policy {origin} is wrong: {explain(error)}") from None
    return policy


def rubric_paths(policy: JudgePolicy, policy_file: Path) -> list[Path]:
    """Return the files of the policy's own rubrics; they are named from where the policy is."""
    return [policy_file.parent / name for name in policy.rubrics]


def check_evaluators(policies: Iterable[PolicyTable], known: Mapping[str, Evaluator]) -> None:
    """Make sure that every policy names evaluators that there are, for a unit that they judge.

    Raises:
        ConfigError: naming the first that does not
    """
    for policy in policies:
        for name in policy.evaluators:
            if name not in known:
                raise ConfigError(
                    f"The judge's policy {policy.name!r} names the evaluator {name!r}, which is none of"
                    f" {', '.join(sorted(known))}."
                )
            if not known[name].judges(policy.unit):
                raise ConfigError(
                    f"The judge's policy {policy.name!r} has the unit {policy.unit}, but {name!r} judges a"
                    f" {known[name].unit}."
                )


def chosen(names: Sequence[str], known: Mapping[str, Evaluator]) -> list[Evaluator]:
    """Return the evaluators of these names.

    Raises:
        ConfigError: one is unknown
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"There is no evaluator {unknown[0]!r}. There are: {', '.join(sorted(known))}.")
    return [known[name] for name in names]
