"""From settings and files to what judging works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gnomon_collector.errors import ConfigError
from gnomon_collector.quality.costs import JudgePrice, price_of
from gnomon_collector.quality.evaluators import Evaluator, evaluator_version, load_evaluators
from gnomon_collector.quality.policy import (
    POLICY_FILE,
    JudgePolicy,
    check_evaluators,
    load_policy,
    rubric_paths,
)
from gnomon_collector.settings import Settings
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource

if TYPE_CHECKING:
    from gnomon_collector.quality.claims import JudgeParts
    from gnomon_collector.quality.client import JudgeClient

OPENAI_URL = "https://api.openai.com/v1"
USUAL_MODEL = "gpt-4.1-mini"
OFF = (
    "LLM judging is off: no judge is configured. Set GNOMON_JUDGE_BASE_URL and GNOMON_JUDGE_MODEL (and"
    " GNOMON_JUDGE_API_KEY) to any endpoint that speaks OpenAI's chat completions."
)


@dataclass(frozen=True)
class JudgeSetup:
    """Policy and evaluators of this process.

    Attributes:
        evaluators: by name
        model: of the judge, "" while judging is off
        prices: asked for the price of the judge's model
    """

    settings: Settings
    policy: JudgePolicy
    evaluators: Mapping[str, Evaluator]
    model: str
    prices: PriceSource

    @property
    def is_on(self) -> bool:
        """Whether a judge is configured."""
        return bool(self.settings.judge_base_url and self.settings.judge_model)

    @property
    def price(self) -> JudgePrice:
        """What the judge costs."""
        settings = self.settings
        return price_of(
            self.model,
            settings.judge_input_usd_per_million,
            settings.judge_output_usd_per_million,
            self.prices,
        )

    @property
    def versions(self) -> dict[str, str]:
        """Evaluator version by name."""
        return {name: evaluator_version(one, self.model) for name, one in self.evaluators.items()}

    def client(self) -> JudgeClient:
        """Return a new client of the judge's endpoint.

        Raises:
            ConfigError: none is configured
        """
        if not self.is_on:
            raise ConfigError(OFF)
        # The openai client takes half a second and 60 MB, which a server that does not judge can do without.
        from gnomon_collector.quality.client import JudgeClient

        settings = self.settings
        return JudgeClient(
            settings.judge_base_url, settings.judge_api_key, self.model, settings.judge_timeout_s
        )

    def parts(self, store: Store) -> JudgeParts:
        """Return what a worker works with.

        Raises:
            ConfigError: no judge is configured
        """
        from gnomon_collector.quality.claims import JudgeParts

        by_version = {self.versions[name]: one for name, one in self.evaluators.items() if one.unit != "pair"}
        concurrency = self.settings.judge_concurrency
        return JudgeParts(
            store,
            self.client(),
            by_version,
            self.policy,
            lambda: self.price,
            self.prices.periods,
            concurrency,
            self.settings.judge_answer_tokens,
        )


def with_openai_environment(setup: JudgeSetup, environment: Mapping[str, str], model: str = "") -> JudgeSetup:
    """Return a setup that, without a judge, asks ``OPENAI_BASE_URL`` with ``OPENAI_API_KEY``.

    Args:
        model: of the judge; "" for the one of the setup, or else a usual one
    """
    chosen = model or setup.model
    changed: dict[str, object] = {"judge_model": chosen}
    if not setup.settings.judge_base_url and environment.get("OPENAI_API_KEY"):
        changed["judge_base_url"] = environment.get("OPENAI_BASE_URL") or OPENAI_URL
        changed["judge_api_key"] = environment["OPENAI_API_KEY"]
        changed["judge_model"] = chosen or USUAL_MODEL
    settings = setup.settings.model_copy(update=changed)
    return replace(setup, settings=settings, model=settings.judge_model)


def load_setup(settings: Settings, prices: PriceSource | None = None) -> JudgeSetup:
    """Read the policy, its rubrics, and the evaluators that come with Gnomon.

    Args:
        prices: those of the server, which it may read anew; None to read the price file of the settings

    Raises:
        ConfigError: a file is wrong, or a policy names an evaluator that there is none of
    """
    path = policy_path(settings)
    policy = load_policy(path)
    evaluators = load_evaluators(rubric_paths(policy, path))
    check_evaluators(policy.policies, evaluators)
    prices = prices or PriceSource(settings.price_file)
    return JudgeSetup(settings, policy, evaluators, settings.judge_model, prices)


def policy_path(settings: Settings) -> Path:
    """Return where the policy is: the setting, else ``judge.toml`` in the data directory."""
    if settings.judge_policy:
        return Path(settings.judge_policy).expanduser()
    return settings.data_dir / POLICY_FILE
