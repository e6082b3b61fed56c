"""The fields of the form of an alert rule."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html

from gnomon_dashboard.components.attributes import data
from gnomon_dashboard.rule_form import CONDITION_KEYS, KINDS

_WAIT_MS: Final = 400
_SEVERITIES: Final = {"critical": "Critical", "warning": "Warning", "info": "Information"}
_AGAINST: Final = {
    "previous": "the window before",
    "yesterday": "the same time yesterday",
    "last_week": "the same time last week",
}
_SIDES: Final = {"above": "above", "below": "below"}
PROPERTIES: Final[Mapping[str, str]] = {"enabled": "checked"}
"""Property that holds the value of a field, where it is not ``value``."""


def field_id(name: str) -> str:
    """Return the id of a field of the form."""
    return f"alert-field-{name.replace('_', '-')}"


def group_id(name: str) -> str:
    """Return the id of what stands around a field that only some conditions have."""
    return f"alert-group-{name.replace('_', '-')}"


def fields() -> Any:
    """Return the form; its values and choices come by callbacks."""
    return html.Div(
        [
            _row(_text("name", "Name"), _choice("severity", "Severity", _SEVERITIES, is_short=True)),
            _row(
                _select("metric", "Metric", "Type to search", is_searchable=True),
                _text("window", "Over the last", is_short=True),
            ),
            html.P(id="alert-metric-help", className="field-note"),
            _tags("filter", "Only calls with", "service_name=search"),
            _groups(),
            _condition(),
            _row(
                _text("for", "Must last"),
                _text("keep_firing", "Over after"),
                _number("min_count", "Calls at least", 0),
                _number("confidence", "Confidence", 0, 0.01),
            ),
            _tags("labels", "Labels", "team=search"),
            _text("summary", "What it means, for who is woken"),
            _text("runbook", "Runbook", "https://…"),
            dmc.Switch(id=field_id("enabled"), label="Switched on", size="xs", className="field"),
        ],
        className="rule-fields",
    )


def is_shown(name: str, kind: str) -> bool:
    """Return whether a condition of this kind has the field."""
    return next(not one.kinds or kind in one.kinds for one in CONDITION_KEYS if one.name == name)


def _condition() -> Any:
    shown = {
        "limit": _row(
            _choice("side", "It is", _SIDES, is_short=True), _number("limit", "Limit"), is_group=True
        ),
        "resolve": _number("resolve", "Over at (if another limit)"),
        "against": _choice("against", "Against", _AGAINST),
        "ratio": _number("ratio", "Times as much", 0, 0.1),
        "direction": _choice("direction", "It goes", _SIDES),
        "deviations": _number("deviations", "Deviations from normal", 0),
        "floor": _number("floor", "Difference at least", 0),
        "floor_ratio": _number("floor_ratio", "… as a share of normal", 0, 0.1),
        "objective": _number("objective", "Objective, 0 to 1", 0, 0.001),
        "latency_ms": _number("latency_ms", "Good if faster than, ms", 0),
        "expected": _number("expected", "Where at least so many calls are normal", 0),
        "days": _number("days", "Normal is told by the last days", 1),
    }
    groups = [
        html.Div(content, id=group_id(name), className="field-group") for name, content in shown.items()
    ]
    return html.Fieldset(
        [
            html.Legend("Fires on"),
            dmc.SegmentedControl(
                id=field_id("kind"),
                data=[{"value": kind, "label": label} for kind, label in KINDS.items()],
                size="xs",
                className="rule-kind",
            ),
            html.Div(groups, className="field-row"),
            html.P(id="alert-unit", className="field-note"),
        ],
        className="rule-condition",
    )


def _groups() -> Any:
    return dmc.MultiSelect(
        id=field_id("group_by"),
        label="Each of these fires by itself",
        placeholder="all together",
        searchable=True,
        clearable=True,
        maxValues=4,
        size="xs",
        className="field",
    )


def _row(*content: Any, is_group: bool = False) -> Any:
    return html.Div(list(content), className="field-row inner" if is_group else "field-row")


def _text(name: str, label: str, example: str = "", *, is_short: bool = False) -> Any:
    return dmc.TextInput(
        id=field_id(name), label=label, placeholder=example, debounce=_WAIT_MS, size="xs", **_kind(is_short)
    )


def _number(name: str, label: str, least: float | None = None, step: float = 1) -> Any:
    bounds = {} if least is None else {"min": least}
    return dmc.NumberInput(
        id=field_id(name), label=label, debounce=_WAIT_MS, step=step, size="xs", **_kind(True), **bounds
    )


def _choice(name: str, label: str, values: Mapping[str, str], *, is_short: bool = False) -> Any:
    return _select(name, label, "", [{"value": one, "label": text} for one, text in values.items()], is_short)


def _select(
    name: str,
    label: str,
    placeholder: str,
    values: Sequence[Mapping[str, str]] = (),
    is_short: bool = False,
    is_searchable: bool = False,
) -> Any:
    return dmc.Select(
        id=field_id(name),
        label=label,
        placeholder=placeholder,
        data=[dict(one) for one in values],
        searchable=is_searchable,
        allowDeselect=False,
        nothingFoundMessage="No such metric",
        size="xs",
        **_kind(is_short),
    )


def _tags(name: str, label: str, example: str) -> Any:
    return dmc.TagsInput(
        id=field_id(name),
        label=label,
        placeholder=example,
        clearable=True,
        acceptValueOnBlur=True,
        splitChars=[],
        size="xs",
        className="field",
        maxDropdownHeight=260,
    )


def _kind(is_short: bool) -> dict[str, Any]:
    return {"className": "field short" if is_short else "field"}


def buttons() -> Any:
    """Return what can be done with a rule."""
    return html.Div(
        [
            _button("Save", "alert-save", "chip-button active"),
            html.Button("Duplicate", id="alert-duplicate", type="button", className="chip-button"),
            html.Button("New rule", id="alert-new", type="button", className="chip-button"),
            html.Button(
                "Switch off",
                id="alert-switch",
                type="button",
                className="chip-button",
                **data(action="alert-switch"),
            ),
            _button("Delete", "alert-delete", "chip-button"),
            html.Span(id="alert-rule-state", className="alert-state", role="status"),
        ],
        className="chip-row",
    )


def _button(label: str, action: str, style: str) -> Any:
    return html.Button(label, type="button", className=style, **data(action=action))
