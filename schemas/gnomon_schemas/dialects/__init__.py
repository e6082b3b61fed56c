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

from gnomon_schemas.price_units import EXTRA_UNITS

ORDER: Final = (
    "gnomon",
    "openinference",
    "langfuse",
    "mlflow",
    "vercel_6",
    "vercel_7",
    "logfire",
    "pydantic_ai",
    "openlit",
    "litellm",
    "langsmith",
    "strands",
    "sentry",
    "claude_code",
    "gemini_cli",
    "google_adk",
    "laminar",
    "livekit",
    "voltagent",
    "spring_ai",
    "anthropic_native",
    "openllmetry_legacy",
    "openllmetry",
    "otel_genai",
)

ANY_END: Final = "*"
"""At the end of a scope: names that begin so."""

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
    "ttft_ms",
    "first_token_at",
    "duration_s",
    "finish_reasons",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "usage",
    "service_tier",
    "cost_reported_usd",
    "cost",
    "session_id",
    "user_id",
    "company_id",
    "tags",
    "metadata",
    "prompt_name",
    "prompt_version",
    "cache_status",
    "cache_similarity",
    "attempt",
    "fallback_of",
    "fallback_reason",
    "request",
    "response",
    "input_messages",
    "output_messages",
    "input",
    "output",
    "retrieval_query",
    "documents",
)
"""What a dialect can say; the columns of `spans` are computed from these."""

EVENT_FIELDS: Final = ("input", "output", "finish_reasons")
"""What a dialect can say in span events."""

TRAITS: Final = (
    "json_quoted",
    "flat_messages",
    "nests_calls",
    "always_says_finish",
    "always_says_stream_finish",
    "finish_error_is_abort",
    "invents_stream_usage",
    "always_says_ttft",
    "zero_usage_is_unknown",
    "zero_cost_is_unknown",
)
"""What can be true of a dialect as a whole; `docs/dialects.md` says what each means."""


@dataclass(frozen=True)
class Dialect:
    """One dialect: how to recognise it, where its fields stand, and its words for span kinds.

    Attributes:
        scopes: names of its scopes; one that ends in ``*`` is the beginning of names
        scoped_attributes: where these are given, a span of its scopes needs one of them too
        attributes: a span with one of these is of this dialect, when no dialect knows its scope
        fields: attribute names by field, looked up on every span
        own_fields: the same, looked up on spans of this dialect alone, and before `fields`
        operations: its words for what a span does, as Gnomon's kinds
        kind_attributes: attributes that tell a span's kind, where no operation does
        own_kind_attributes: the same, of spans of this dialect alone
        name_ends: ends of span names that tell a span's kind, whatever its operation
        events: of `EVENT_FIELDS`, where no attribute says it: an event's name, a space, and its attribute
        usage_details: attributes that count a unit of `EXTRA_UNITS`
        metadata_prefixes: attributes that begin so are metadata by the rest of their name
        first_token_events: span events of which the first tells when the first token came
        exclusive_providers: providers whose tokens it counts beside the cache; ``*`` is all
        traits: of `TRAITS`
    """

    id: str
    title: str
    scopes: tuple[str, ...]
    scoped_attributes: tuple[str, ...]
    attributes: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    own_fields: Mapping[str, tuple[str, ...]]
    operations: Mapping[str, str]
    kind_attributes: Mapping[str, str]
    own_kind_attributes: Mapping[str, str]
    name_ends: Mapping[str, str]
    events: Mapping[str, tuple[str, ...]]
    usage_details: Mapping[str, str]
    metadata_prefixes: tuple[str, ...]
    first_token_events: tuple[str, ...]
    exclusive_providers: tuple[str, ...]
    traits: frozenset[str]


@cache
def load_dialects() -> tuple[Dialect, ...]:
    """Return every dialect, in the order in which they are tried.

    Raises:
        ValueError: a file names a field or a trait that does not exist, or gives one attribute two meanings
            or one scope to two dialects.
    """
    listed = tuple(_load(name) for name in ORDER)
    _check_one_meaning(listed)
    _check_scopes(listed)
    return listed


def with_trait(trait: str) -> tuple[str, ...]:
    """Return the ids of the dialects that have a trait of `TRAITS`."""
    return tuple(dialect.id for dialect in load_dialects() if trait in dialect.traits)


def _load(name: str) -> Dialect:
    raw = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    recognise = raw["recognise"]
    dialect = Dialect(
        id=raw["id"],
        title=raw["title"],
        scopes=tuple(recognise["scopes"]),
        scoped_attributes=tuple(recognise.get("scoped_attributes", ())),
        attributes=tuple(recognise["attributes"]),
        fields={field: tuple(sources) for field, sources in raw.get("fields", {}).items()},
        own_fields={field: tuple(sources) for field, sources in raw.get("own_fields", {}).items()},
        operations=dict(raw.get("operations", {})),
        kind_attributes=dict(raw.get("kind_attributes", {})),
        own_kind_attributes=dict(raw.get("own_kind_attributes", {})),
        name_ends=dict(raw.get("name_ends", {})),
        events={field: tuple(sources) for field, sources in raw.get("events", {}).items()},
        usage_details=dict(raw.get("usage_details", {})),
        metadata_prefixes=tuple(raw.get("metadata_prefixes", ())),
        first_token_events=tuple(raw.get("first_token_events", ())),
        exclusive_providers=tuple(raw.get("exclusive_providers", ())),
        traits=frozenset(raw.get("traits", ())),
    )
    _check_words(name, "fields", {*dialect.fields, *dialect.own_fields}, FIELDS)
    _check_words(name, "events", {*dialect.events}, EVENT_FIELDS)
    _check_words(name, "traits", dialect.traits, TRAITS)
    _check_words(name, "usage_details", {*dialect.usage_details.values()}, EXTRA_UNITS)
    return dialect


def _check_words(name: str, what: str, used: set[str] | frozenset[str], known: tuple[str, ...]) -> None:
    unknown = sorted(used - set(known))
    if unknown:
        raise ValueError(f"dialects/{name}.toml: unknown {what} {unknown}; known are {', '.join(known)}")


def _check_one_meaning(dialects: tuple[Dialect, ...]) -> None:
    meaning: dict[str, str] = {}
    for dialect in dialects:
        for field, sources in dialect.fields.items():
            for source in sources:
                if meaning.setdefault(source, field) != field:
                    raise ValueError(
                        f"dialects: {source} of {dialect.id} is a source of {meaning[source]} and of {field};"
                        " keep one, or move it to [own_fields]"
                    )


def _check_scopes(dialects: tuple[Dialect, ...]) -> None:
    """A whole name is looked up after all beginnings of names, so no later dialect's may take it."""
    for at, dialect in enumerate(dialects):
        later = [each for each in dialects[at + 1 :] if not each.scoped_attributes]
        for scope in () if dialect.scoped_attributes else dialect.scopes:
            taken = [each.id for each in later for start in _beginnings(each) if scope.startswith(start)]
            if taken and not scope.endswith(ANY_END):
                raise ValueError(f"dialects: scope {scope} of {dialect.id} is also one of {taken[0]}")


def _beginnings(dialect: Dialect) -> list[str]:
    return [scope.removesuffix(ANY_END) for scope in dialect.scopes if scope.endswith(ANY_END)]
