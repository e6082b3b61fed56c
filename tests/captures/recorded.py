"""What the SDKs of tests/conformance sent, recorded, and the truth of each scenario: what the provider answered.

``python -m tests.conformance.record`` writes the folders. What an SDK leaves out stands here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
TRUTHS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    path.parent.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(HERE.glob("*/truth.json"))
}
"""By folder and scenario."""
SENT: Final = {
    (folder, scenario): {
        signal: path.read_bytes()
        for signal in ("traces", "logs")
        if (path := HERE / folder / f"{scenario}.{signal}.pb").exists()
    }
    for folder, scenarios in TRUTHS.items()
    for scenario in scenarios
}
"""By folder and scenario: OTLP bodies by signal."""
FIGURES: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
CACHE: Final = "cache_read_tokens"
REASONING: Final = "reasoning_tokens"

# Null where the provider said something, by the beginning of the scenario.
UNSAID: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "agno": {"": frozenset({REASONING})},
    "dspy": {"": frozenset(FIGURES)},
    "haystack": {"": frozenset({CACHE, REASONING})},
    "llama-index": {"embeddings": frozenset(FIGURES)},
    "openai-agents": {name: frozenset({CACHE, REASONING}) for name in ("tools", "session")},
    "semantic-kernel": {"": frozenset({CACHE, REASONING})},
    "smolagents": {"": frozenset({CACHE, REASONING})},
    "strands": {"": frozenset({REASONING})},
    "traceloop-js": {"": frozenset({CACHE, REASONING})},
    "vercel-ai-5": {name: frozenset({CACHE, REASONING}) for name in ("tools", "session", "responses")},
}
# What happened otherwise than the provider saw it.
OTHERWISE: Final[Mapping[tuple[str, str], Mapping[str, int | None]]] = {
    # streams that failed, of which nothing tells them from aborted ones
    **{
        (folder, "chat_stream_error"): {"errors": 0}
        for folder in (
            "langfuse-openai",
            "laminar",
            "logfire",
            "openllmetry-openai",
            "pydantic-ai",
            "traceloop",
        )
    },
    # no span of the call, where a stream did not end
    ("openlit", "chat_stream_abort"): {"calls": 0},
    ("openlit", "chat_stream_error"): {"calls": 0, "errors": 0},
    ("vercel-ai-5", "chat_stream_abort"): {"calls": 0},
    ("vercel-ai-6", "chat_stream_abort"): {"calls": 0},
    # no usage of embeddings
    ("llama-index", "rag"): {"input_tokens": 155},
    # details of usage in streams alone
    **{(folder, "chat"): {CACHE: None, REASONING: None} for folder in ("openai-agents", "vercel-ai-5")},
    # the reasoning once more in the output
    ("google-adk", "chat"): {"output_tokens": 414},
}

Counts = Mapping[str, int | None]


def expected(folder: str, scenario: str) -> dict[str, int | None]:
    """Return the truth of a recorded scenario, null where the SDK says nothing."""
    return told(folder, scenario, TRUTHS[folder][scenario])


def told(folder: str, scenario: str, truth: Mapping[str, Any]) -> dict[str, int | None]:
    """Return what an SDK tells of what happened in a scenario."""
    starts = UNSAID.get(folder, {})
    unsaid = {name for start, names in starts.items() if scenario.startswith(start) for name in names}
    said = {name: None if name in unsaid else truth[name] for name in ("calls", *FIGURES, "errors")}
    return said | dict(OTHERWISE.get((folder, scenario), {}))


def differences(found: Counts | None, truth: Counts) -> list[str]:
    """Return what is not exact, as ``calls 2 (1)``: the figure and the truth. Nothing said of no tokens is exact."""
    stored = found or dict.fromkeys(truth, None) | {"calls": 0, "errors": 0}
    return [
        f"{name} {stored[name]} ({value})"
        for name, value in truth.items()
        if stored[name] != value
        and not (value == 0 and stored[name] is None)
        and not (value is None and stored[name] == 0)
    ]
