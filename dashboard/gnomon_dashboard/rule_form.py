"""The form of an alert rule, as a view of the rule's TOML text. Pure.

The text is what is saved. `read_form` says what the form shows of it; `write_form` changes in it what
somebody changed in the form, and nothing else: comments, order, and keys without a field stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import tomlkit
from tomlkit.exceptions import TOMLKitError

from gnomon_collector.alerts.model import duration_text

Values: TypeAlias = Mapping[str, Any]
"""What the fields show, by the name of the field."""

_EMPTY: Final[tuple[Any, ...]] = ("", None, [])
KINDS: Final[Mapping[str, str]] = {
    "threshold": "Limit",
    "change": "Change",
    "spike": "Spike",
    "burn_rate": "Burn rate",
    "absence": "No data",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the text that a field shows as it is.

    Attributes:
        name: of the field, and of the key unless `key` says another
        kinds: conditions that have it; empty for a key of the rule itself
        default: what holds where the text does not say
    """

    name: str
    default: Any = ""
    kinds: tuple[str, ...] = ()
    key: str = ""

    @property
    def spelled(self) -> str:
        """The key in the text."""
        return self.key or self.name


RULE_KEYS: Final = (
    Key("name"),
    Key("metric"),
    Key("filter", []),
    Key("group_by", []),
    Key("window", "5m"),
    Key("for", "1m"),
    Key("keep_firing", "5m"),
    Key("min_count", 10),
    Key("confidence", 0.95),
    Key("severity", "warning"),
    Key("labels", []),
    Key("summary"),
    Key("runbook"),
    Key("enabled", True),
)
CONDITION_KEYS: Final = (
    Key("limit", "", ("threshold",)),
    Key("resolve", "", ("threshold",)),
    Key("against", "previous", ("change",)),
    Key("ratio", "", ("change",)),
    Key("direction", "above", ("spike",)),
    Key("deviations", 6, ("spike",)),
    Key("floor", 0, ("change", "spike")),
    Key("floor_ratio", 0.5, ("spike",)),
    Key("objective", "", ("burn_rate",)),
    Key("latency_ms", "", ("burn_rate",)),
    Key("expected", 20, ("absence",)),
    Key("days", 14, ("spike", "absence")),
)
FIELDS: Final = (
    *(one.name for one in RULE_KEYS),
    "kind",
    "side",
    *(one.name for one in CONDITION_KEYS),
)
"""Names of all fields. `side` says whether a limit is above or below."""

_PAIRED: Final = ("filter", "labels")
_DURATIONS: Final = ("window", "for", "keep_firing")
_BEGIN: Final[Mapping[str, Mapping[str, Any]]] = {"change": {"ratio": 2}, "burn_rate": {"objective": 0.99}}
"""What a condition needs and has no default for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the form shows of a text.

    Attributes:
        values: of every field; empty where the text cannot be shown
        unshown: keys of the text that no field shows; they stay as they are
        problem: why the text cannot be shown; empty where it can
    """

    values: Values
    unshown: tuple[str, ...] = ()
    problem: str = ""


def read_form(text: str) -> Shown:
    """Return what the form shows of a rule's text."""
    try:
        rule = _rule_in(tomlkit.parse(text)).unwrap()
        values = _values_of(rule)
    except (TOMLKitError, TypeError, AttributeError, ValueError) as error:
        return Shown({}, problem=f"The form cannot show this text: {error}. Put it right under TOML.")
    return Shown(values, _unshown(rule, values["kind"]))


def write_form(text: str, values: Values) -> str:
    """Return the text with those fields changed that differ from what it says.

    Raises:
        ValueError: a label or a filter is not of the form name=value; or the text cannot be shown
    """
    shown = read_form(text)
    if shown.problem:
        raise ValueError(shown.problem)
    changed = {name: value for name, value in values.items() if not _same(value, shown.values.get(name))}
    if not changed:
        return text
    document = tomlkit.parse(text)
    rule = _rule_in(document)
    for one in RULE_KEYS:
        if one.name in changed:
            _put(rule, one, changed[one.name], _SPELLED.get(one.name, _plain))
    if any(name in changed for name in ("kind", "side", *(one.name for one in CONDITION_KEYS))):
        _put_condition(rule, {**shown.values, **changed}, changed)
    return tomlkit.dumps(document)


def _rule_in(document: tomlkit.TOMLDocument) -> Any:
    """The rule of a text: its top, or its only [[rule]]."""
    rules = document.get("rule")
    if rules is None:
        return document
    if not isinstance(rules, list) or len(rules) != 1:
        raise ValueError("it has several rules")
    return rules[0]


def _values_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    condition = rule.get("condition", {})
    kind = condition.get("kind", "threshold")
    if kind not in KINDS:
        raise ValueError(f"there is no condition of kind {kind!r}")
    values = {one.name: _shown_value(one, rule) for one in RULE_KEYS}
    values |= {one.name: condition.get(one.spelled, one.default) for one in CONDITION_KEYS}
    side = "below" if "below" in condition else "above"
    return values | {"kind": kind, "side": side, "limit": condition.get(side, "")}


def _shown_value(one: Key, rule: Mapping[str, Any]) -> Any:
    value = rule.get(one.spelled, one.default)
    if one.name in _PAIRED and isinstance(value, Mapping):
        return [f"{name}={part}" for name, parts in value.items() for part in _listed(parts)]
    if one.name in _DURATIONS and isinstance(value, int | float):
        return duration_text(value)
    return value


def _listed(parts: Any) -> Sequence[Any]:
    return parts if isinstance(parts, list) else [parts]


def _unshown(rule: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    condition = rule.get("condition", {})
    known = {"kind", "above", "below", *(one.spelled for one in CONDITION_KEYS if kind in one.kinds)}
    return (
        *(name for name in rule if name not in {one.spelled for one in RULE_KEYS} | {"condition"}),
        *(f"condition.{name}" for name in condition if name not in known),
    )


def _same(one: Any, other: Any) -> bool:
    return one == other or (one in _EMPTY and other in _EMPTY)


def _put(table: MutableMapping[str, Any], one: Key, value: Any, spell: Callable[[Any], Any]) -> None:
    if value in _EMPTY:
        table.pop(one.spelled, None)
    elif one.spelled in table or value != one.default:
        table[one.spelled] = spell(value)


def _plain(value: Any) -> Any:
    """Whole numbers without a point, as people write them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _filters(tags: Sequence[str]) -> Any:
    found: dict[str, list[str]] = {}
    for name, value in map(_split, tags):
        found.setdefault(name, []).append(value)
    return _inline(found)


def _labels(tags: Sequence[str]) -> Any:
    return _inline(dict(map(_split, tags)))


def _split(tag: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in tag.partition("="))
    if not (name and equals and value):
        raise ValueError(f"{tag!r} is not of the form name=value, such as service_name=search.")
    return name, value


def _inline(values: Mapping[str, Any]) -> Any:
    table = tomlkit.inline_table()
    table.update(values)
    return table


_SPELLED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "filter": _filters,
    "labels": _labels,
    "group_by": list,
}


def _put_condition(rule: MutableMapping[str, Any], values: Values, changed: Values) -> None:
    """Write the condition's keys; those of another kind than the chosen one go."""
    if "condition" not in rule:
        rule["condition"] = tomlkit.table()
    condition = cast(MutableMapping[str, Any], rule["condition"])
    kind = str(values["kind"])
    if "kind" in changed:
        for name in [name for name in condition if name != "kind"]:
            del condition[name]
        condition["kind"] = kind
        for name, value in _BEGIN.get(kind, {}).items():
            condition[name] = value
    for one in CONDITION_KEYS:
        if kind in one.kinds and one.name in changed and one.name != "limit":
            _put(condition, one, changed[one.name], _plain)
    if kind == "threshold":
        _put_limit(condition, str(values["side"]), values["limit"])


def _put_limit(condition: MutableMapping[str, Any], side: str, limit: Any) -> None:
    other = "above" if side == "below" else "below"
    condition.pop(other, None)
    if limit in _EMPTY:
        condition.pop(side, None)
    elif side not in condition or condition[side] != limit:
        condition[side] = _plain(limit)
