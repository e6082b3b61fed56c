"""Masking: personal data and secrets are replaced before anything leaves the process.

Runs on the exporter's background thread. JSON is masked value by value, so that it stays JSON; what
looks like JSON and cannot be parsed (it was cut) is masked as the text it is.
"""

import hmac
import inspect
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from gnomon._errors import UsageError
from gnomon._recognisers import CLASSES, Finding, disjoint, find
from gnomon_schemas.attributes import MASKED_PREFIX

if TYPE_CHECKING:
    from gnomon._settings import Settings

MaskFunction = Callable[[str], str]
Entities = Callable[[str], Iterable[tuple[int, int, str]]]
"""Named entity recognition: (start, end, label) of what it finds in a text."""

_SHORTEST_CHARS: Final = 6
_MAX_JSON_DEPTH: Final = 12
_ESCAPE: Final = re.compile(r"(\\(?:u[0-9a-fA-F]{4}|.))", re.DOTALL)
# What these hold comes from programs, and charts group by it.
_PLAIN_KEYS: Final = (
    "gen_ai.request.",
    "gen_ai.response.",
    "gen_ai.usage.",
    "gen_ai.operation.",
    "gen_ai.provider.",
    "gen_ai.system",
    "gen_ai.output.type",
    "gen_ai.tool.call.id",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gnomon.span.kind",
    "gnomon.status",
    "gnomon.cache.status",
    "gnomon.attempt",
    MASKED_PREFIX,
    "server.",
    "openai.",
    "code.",
    "exception.type",
    "error.type",
)
_CONTENT_UNDER_PLAIN_KEYS: Final = frozenset({"gen_ai.system_instructions"})


@dataclass(frozen=True)
class Masking:
    """What is masked, and what stands there instead: ``gnomon.init(mask=gnomon.Masking(…))``.

    Attributes:
        classes: which of email, phone, card, iban, ip, secret, inn, snils and passport; all by default.
        patterns: further classes by regular expression: ``{"order": r"A-\\d{5}"}``.
        functions: further functions from text to masked text, run last.
        pseudonyms: the same value gets the same mark, ``[EMAIL:1f3a9c0d]``, so that people stay
            distinguishable without being known.
        key: secret that pseudonyms are made with. Give the same one to all processes whose marks are to
            agree (``GNOMON_MASK_KEY``); without one each process has its own.
        ner: names of people and places: "natasha" (Russian), "presidio", an ``AnalyzerEngine`` of Presidio,
            or a function that returns (start, end, label) tuples. Needs ``pip install 'gnomon[pii]'``.
    """

    classes: Sequence[str] = CLASSES
    patterns: Mapping[str, str | re.Pattern[str]] = field(default_factory=dict)
    functions: Sequence[MaskFunction] = ()
    pseudonyms: bool = False
    key: str | bytes | None = field(default=None, repr=False)
    ner: Any = None

    def apply(self, text: str) -> str:
        """Return ``text`` masked; for use before a prompt is sent to a provider, or in a log.

        Raises:
            UsageError: there is no such class, or a pattern cannot be used.
        """
        return self._masker(text, "")

    @cached_property
    def _masker(self) -> "Masker":
        """Made once: patterns are compiled, and a model for names may take a second to load."""
        return Masker(self)

    @cached_property
    def made_key(self) -> bytes:
        """The key of the pseudonyms: the one given, the environment's, or one made up for this object."""
        given = self.key or os.environ.get("GNOMON_MASK_KEY") or secrets.token_bytes(32)
        return given.encode() if isinstance(given, str) else given


class Masker:
    """Masks texts and counts what it masked, by class; made for one thread."""

    def __init__(self, masking: Masking, classes: Sequence[str] = ()) -> None:
        """Make a masker.

        Args:
            masking: what is masked.
            classes: what is masked beside it.
        """
        _validate(masking)
        self._wanted = frozenset(masking.classes) | frozenset(classes)
        self._patterns = [(name.lower(), re.compile(p)) for name, p in masking.patterns.items()]
        self._functions = [_of_text_alone(function) for function in masking.functions]
        self._entities = _entities(masking.ner)
        self._key = masking.made_key if masking.pseudonyms else b""
        self._counts: dict[str, int] = {}

    def __call__(self, text: str, key: str) -> str:
        """Return the text to send instead.

        Args:
            text: any text, JSON too.
            key: name of the attribute it stands in; model names, ids of answers and such are left alone.
        """
        if len(text) < _SHORTEST_CHARS and not self._functions and not self._patterns:
            return text
        if key.startswith(_PLAIN_KEYS) and key not in _CONTENT_UNDER_PLAIN_KEYS:
            return text
        return self._any_text(text, 0)

    def take_counts(self) -> dict[str, int]:
        """Return how many of each class were masked since the last call."""
        counts, self._counts = self._counts, {}
        return counts

    def _any_text(self, text: str, depth: int) -> str:
        if depth < _MAX_JSON_DEPTH and text[:1] in ("{", "["):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return self._escaped(text)
            masked = self._value(value, depth + 1)
            return text if masked is value else json.dumps(masked, ensure_ascii=False)
        return self._escaped(text) if "\\" in text else self._plain(text)

    def _escaped(self, text: str) -> str:
        # In "\nann@x.org" the n belongs to the escape; taken for a letter it would break the JSON.
        return "".join(
            part if index % 2 else self._plain(part) for index, part in enumerate(_ESCAPE.split(text))
        )

    def _value(self, value: Any, depth: int) -> Any:
        """Return ``value`` itself when nothing in it was masked, else a masked copy."""
        if isinstance(value, str):
            masked = self._any_text(value, depth)
            return value if masked == value else masked
        if isinstance(value, list):
            items = [self._value(item, depth) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, int) and not isinstance(value, bool) and value > 10**10:
            # A number of that length may be a phone or a card. Ten digits are more often a time.
            masked = self._plain(str(value))
            return value if masked == str(value) else masked
        return value

    def _mapping(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        masked = [(self._plain(name), self._value(item, depth)) for name, item in value.items()]
        same = all(
            new_name == name and new is old
            for (new_name, new), (name, old) in zip(masked, value.items(), strict=True)
        )
        return value if same else dict(masked)

    def _plain(self, text: str) -> str:
        found = find(text, self._wanted) if len(text) >= _SHORTEST_CHARS else []
        for kind, pattern in self._patterns:
            found.extend(Finding(*match.span(), kind) for match in pattern.finditer(text) if match[0])
        if self._entities is not None and len(text) >= _SHORTEST_CHARS:
            found.extend(Finding(start, end, kind) for start, end, kind in self._entities(text))
        if found:
            text = self._replaced(text, disjoint(found))
        for function in self._functions:
            text = self._by_function(function, text)
        return text

    def _replaced(self, text: str, found: list[Finding]) -> str:
        parts: list[str] = []
        position, counts = 0, self._counts
        for start, end, kind in found:
            mark = self._mark(text[start:end], kind) if self._key else f"[{kind.upper()}]"
            parts += (text[position:start], mark)
            position = end
            counts[kind] = counts.get(kind, 0) + 1
        return "".join(parts) + text[position:]

    def _mark(self, value: str, kind: str) -> str:
        said = f"{kind}:{_normalised(value, kind)}".encode("utf-8", "replace")
        return f"[{kind.upper()}:{hmac.new(self._key, said, 'sha256').hexdigest()[:8]}]"

    def _by_function(self, function: MaskFunction, text: str) -> str:
        masked = function(text)
        if masked != text:
            self._counts["custom"] = self._counts.get("custom", 0) + 1
        return masked


def _validate(masking: Masking) -> None:
    """Raise UsageError for what cannot be: when Gnomon starts, so that it does not start, not in the host."""
    unknown = sorted(set(masking.classes) - set(CLASSES))
    if unknown:
        raise UsageError(f"there is no class {unknown[0]!r} to mask; there are {', '.join(CLASSES)}")
    for name, pattern in masking.patterns.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name):
            raise UsageError("a pattern's name must be a word of letters, digits and _")
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(f"the pattern {name!r} is no regular expression: {error}") from error


def build_masker(settings: "Settings") -> Masker | None:
    """Return the masker that ``mask`` and ``capture_content`` ask for; None when there is nothing to mask.

    ``capture_content="redacted"`` masks all `CLASSES`, and ``mask`` beside them; without it, ``mask`` alone
    says what is masked.

    Raises:
        UsageError: ``mask`` is nothing that can be used.
    """
    redacted = settings.capture_content == "redacted"
    masking = masking_of(settings.mask, CLASSES if redacted else ())
    if masking is None:
        return None
    return Masker(masking, CLASSES if redacted else ())


def masking_of(given: object, classes: Sequence[str] = ()) -> Masking | None:
    """Read what was passed as ``mask``; None when nothing is to be masked.

    Args:
        given: a `Masking`, True, a function, a regular expression, a mapping of names to them, words, or a
            list of those. Words are the classes, "all", "pseudonyms", "natasha" and "presidio"; in one text
            they are separated by commas.
        classes: what is masked when ``given`` names no class.
    """
    if isinstance(given, Masking):
        return given
    if given is None or given is False:
        return Masking(classes=classes) if classes else None
    if given is True:
        return Masking()
    if isinstance(given, Mapping):
        return Masking(classes=classes, patterns=dict(given))
    items = given.split(",") if isinstance(given, str) else given
    return _from_items(list(items) if isinstance(items, list | tuple | set | frozenset) else [items], classes)


def _from_items(items: list[Any], classes: Sequence[str]) -> Masking | None:
    words = [item.strip().lower() for item in items if isinstance(item, str) and item.strip()]
    if set(words) & {"none", "false", "off"}:
        return Masking(classes=classes) if classes else None
    patterns = {f"pattern{index}": item for index, item in enumerate(items) if isinstance(item, re.Pattern)}
    functions = [item for item in items if callable(item)]
    if len(functions) + len(patterns) + sum(isinstance(item, str) for item in items) != len(items):
        raise UsageError("mask must be a gnomon.Masking, a function, or names of classes such as email,phone")
    named = [word for word in words if word not in _OPTIONS]
    everything = not named and (set(words) & _OPTIONS or not items)
    return Masking(
        classes=named or (CLASSES if everything else classes),
        patterns=patterns,
        functions=functions,
        pseudonyms="pseudonyms" in words,
        ner=next((word for word in words if word in ("natasha", "presidio")), None),
    )


_OPTIONS: Final = frozenset({"all", "true", "on", "1", "pseudonyms", "natasha", "presidio"})


def _entities(ner: Any) -> Entities | None:
    if ner is None or (callable(ner) and not hasattr(ner, "analyze")):
        return ner  # type: ignore[no-any-return]
    from gnomon._pii import presidio, recogniser

    return presidio(ner) if hasattr(ner, "analyze") else recogniser(ner)


def _normalised(value: str, kind: str) -> str:
    """The same number or address in whatever way it was written."""
    if kind in ("phone", "card", "inn", "snils", "passport"):
        digits = "".join(char for char in value if char.isdigit())
        return "7" + digits[1:] if kind == "phone" and len(digits) == 11 and digits[0] == "8" else digits
    return " ".join(value.lower().split()) if kind != "iban" else re.sub(r"[\W_]", "", value)


def _of_text_alone(function: Callable[..., str]) -> MaskFunction:
    """Take functions of (text) and of (text, attribute key) alike."""
    try:
        takes = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            and parameter.default is parameter.empty
        ]
    except (ValueError, TypeError):
        return function
    return (lambda text: function(text, "")) if len(takes) == 2 else function
