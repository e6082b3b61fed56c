"""The models of the demo: dated names, speed, and how many tokens a text has."""

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Final

_CYRILLIC_RUN: Final = re.compile(r"[а-яё]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """How a model behaves: its dated response name, median time to first token and speed."""

    name: str
    response_model: str
    first_token_s: float
    tokens_per_s: float
    reasons: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """When the first token arrives and when the answer is complete, in seconds from the request."""

    first_token_s: float
    total_s: float


PROFILES: Final = {
    profile.name: profile
    for profile in (
        ModelProfile("gpt-4o-mini", "gpt-4o-mini-2024-07-18", 0.16, 230),
        ModelProfile("gpt-4o", "gpt-4o-2024-08-06", 0.28, 130),
        ModelProfile("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 0.14, 280),
        ModelProfile("gpt-5-mini", "gpt-5-mini-2025-08-07", 0.30, 420, reasons=True),
        ModelProfile("text-embedding-3-small", "text-embedding-3-small", 0.045, math.inf),
    )
}

LONGEST_S: Final = 1.8
"""No answer takes longer at latency scale 1: the demo's service gives up at 2 s."""


def profile_of(model: str) -> ModelProfile:
    """The profile of `model`; one of a small model for a name the demo does not know."""
    return PROFILES.get(model) or ModelProfile(model, model, 0.16, 230)


def draw_timing(profile: ModelProfile, output_tokens: int, rng: Random) -> Timing:
    """Log-normal times of one answer of `output_tokens` tokens, at most `LONGEST_S` seconds."""
    first_s = profile.first_token_s * rng.lognormvariate(0, 0.35)
    writing_s = output_tokens / profile.tokens_per_s * rng.lognormvariate(0, 0.2)
    total_s = min(first_s + writing_s, LONGEST_S)
    return Timing(first_token_s=min(first_s, total_s), total_s=total_s)


def count_tokens(text: str) -> int:
    """About as many tokens as OpenAI's o200k vocabulary gives: 4 Latin or 2.5 Cyrillic letters each."""
    cyrillic = len(_CYRILLIC_RUN.findall(text))
    return math.ceil((len(text) - cyrillic) / 4 + cyrillic / 2.5)


def draw_reasoning_tokens(profile: ModelProfile, rng: Random) -> int:
    """Hidden reasoning tokens of one answer, in steps of 64 as OpenAI reports them; 0 for other models."""
    return 64 * rng.randint(0, 4) if profile.reasons else 0


def draw_cached_tokens(prefix_tokens: int, rng: Random) -> int:
    """How many of the `prefix_tokens` that requests share come from the provider's prompt cache.

    In steps of 128 as at OpenAI; the floor is 128 instead of its 1,024, so that the demo's short
    prompts show cache reads at all.
    """
    return prefix_tokens // 128 * 128 if rng.random() < 0.7 else 0
