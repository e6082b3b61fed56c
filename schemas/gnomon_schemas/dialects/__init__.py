"""Dialects as data: how each kind of instrumentation says what the canonical columns hold.

A dialect is one TOML file in this folder. Files are read in the order of `ORDER`; where two dialects have a
source for the same field, the earlier dialect's sources win.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

ORDER: Final = ("gnomon", "otel_genai")

FIELDS: Final = (
    "kind",
    "status",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "error_type",
    "error_code",
    "stream",
    "ttft_s",
    "finish_reasons",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_reported_usd",
    "session_id",
    "user_id",
    "company_id",
    "tags",
    "prompt_name",
    "prompt_version",
    "cache_status",
    "cache_similarity",
    "attempt",
    "fallback_of",
    "fallback_reason",
    "input_messages",
    "output_messages",
    "input",
    "output",
    "retrieval_query",
    "documents",
)
"""What a dialect can say; the columns of `spans` are computed from these."""


@dataclass(frozen=True)
class Dialect:
    """One dialect: how to recognise it, where its fields stand, and its words for span kinds."""

    id: str
    title: str
    scopes: tuple[str, ...]
    attributes: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    operations: Mapping[str, str]


@cache
def load_dialects() -> tuple[Dialect, ...]:
    """Return every dialect, in the order in which they are tried.

    Raises:
        ValueError: a file names a field that is not in `FIELDS`.
    """
    return tuple(_load(name) for name in ORDER)


def _load(name: str) -> Dialect:
    raw = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    unknown = sorted(set(raw["fields"]) - set(FIELDS))
    if unknown:
        raise ValueError(f"dialects/{name}.toml: unknown fields {unknown}; known are {', '.join(FIELDS)}")
    return Dialect(
        id=raw["id"],
        title=raw["title"],
        scopes=tuple(raw["recognise"]["scopes"]),
        attributes=tuple(raw["recognise"]["attributes"]),
        fields={field: tuple(sources) for field, sources in raw["fields"].items()},
        operations=dict(raw["operations"]),
    )
