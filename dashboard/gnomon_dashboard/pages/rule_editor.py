"""The editor of alert rules: a form and the TOML text of one rule; beside them what it would have done.

The text is the rule; the form is a view of it (`gnomon_dashboard.rule_form`). One callback keeps both the
same, whichever was changed.
"""

import asyncio
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from gnomon_collector.alerts.config import merged_rules, parse_rule
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.preview import Preview, preview
from gnomon_collector.alerts.rule_text import TEMPLATE, rule_text
from gnomon_collector.alerts.rulebook import as_rule
from gnomon_collector.errors import BadRequest, ConfigError, StoreError
from gnomon_collector.store import drift_catalogue
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import suggestions
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_dashboard import alert_figures, figures, ids, units
from gnomon_dashboard.components import panels, rule_fields
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.rule_fields import field_id, group_id
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.rule_form import CONDITION_KEYS, FIELDS, Shown, read_form, write_form
from gnomon_dashboard.state import ViewState
from gnomon_schemas.metrics import METRICS, PATTERNS, ROLLUP_DIMENSIONS, Metric, Unit, metric

InForce: TypeAlias = Callable[[Store, str], Sequence[Rule]]
"""Says which rules of a project are evaluated."""

Card: TypeAlias = Callable[[Any], Any]
"""Puts something on a card with a title."""

EDITOR: Final = "alert-rule-editor"
TEXT: Final = "alert-rule-text"
LOADED: Final = "alert-rule-loaded"
NOTE: Final = "alert-form-note"
PREVIEW_CHART: Final = "alert-preview-chart"
PREVIEW_WORDS: Final = "alert-preview-words"
_DAYS: Final = 30
_WIDE: Final = "panel-wide"
_GROUPED: Final = tuple(one.name for one in CONDITION_KEYS)
_SUGGESTED_FROM: Final = timedelta(days=1)
_VALUES: Final[Mapping[Unit, str]] = {
    "ms": "Values are in milliseconds.",
    "s": "Values are in seconds.",
    "usd": "Values are in US dollars.",
    "tokens": "Values are in tokens.",
    "tokens/s": "Values are in tokens per second.",
    "ratio": "Values are shares, 0 to 1.",
    "score": "Values are scores, 0 to 1.",
    "effect": "1 and more is drift.",
}
"""What a limit is given in, by unit; a count needs no word."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers: metrics, and values that dimensions have.

    Attributes:
        values: ``dimension=value``, as the filter spells it.
    """

    metrics: Sequence[Mapping[str, str]]
    values: Sequence[str]


def known_rules(store: Store, project: str, in_force: Sequence[Rule]) -> list[Rule]:
    """Return the rules of a project, those that were made here as they were saved, switched-off ones too."""
    made = [rule for one in AlertRecords(store).rules(project) if (rule := as_rule(one)) is not None]
    return [rule for rule in merged_rules(in_force, made) if rule.projects([project])]


def text_of(store: Store, project: str, name: str, in_force: Sequence[Rule]) -> str:
    """Return the text of a rule, as it was written where it was made here; for no name one to begin with."""
    stored = next((one for one in AlertRecords(store).rules(project) if name and one.name == name), None)
    if stored is not None:
        return stored.definition
    found = next((one for one in in_force if one.name == name), None)
    return rule_text(found) if found else TEMPLATE


def duplicate(text: str) -> str:
    """Return the text of the same rule under another name."""
    name = str(read_form(text).values.get("name", ""))
    return write_form(text, {"name": f"{name} (copy)"[-120:]})


def choices(store: Store, project: str, now: datetime) -> Choices:
    """Return what the form offers."""
    scope, window = Scope(project), Window(now - _SUGGESTED_FROM, now, 3600)
    names = suggestions.values(store, scope, window, "score.")
    values = [
        f"{dimension}={value}"
        for dimension in ROLLUP_DIMENSIONS
        for value in suggestions.values(store, scope, window, dimension)
    ]
    return Choices([_metric_choice(one) for one in _metrics(names)], values)


def _metrics(score_names: Sequence[str]) -> list[Metric]:
    parameters = {"drift": drift_catalogue.METRICS}
    families = [
        metric(f"{family.name}:{name}")
        for family in PATTERNS
        for name in parameters.get(family.name, score_names)
    ]
    return [*METRICS, *families]


def _metric_choice(one: Metric) -> dict[str, str]:
    return {"value": one.name, "label": f"{one.title} ({_UNIT_NAMES.get(one.unit, one.unit)})"}


_UNIT_NAMES: Final[Mapping[str, str]] = {"ratio": "0 to 1", "usd": "USD", "effect": "of the threshold"}


def note_of(shown: Shown, text: str) -> tuple[str, bool]:
    """Return what stands under the form, and whether it says that something is wrong."""
    if shown.problem:
        return shown.problem, True
    try:
        parse_rule(text)
    except ConfigError as error:
        return str(error), True
    kept = ", ".join(shown.unshown)
    return (f"Only under TOML, and kept as it is: {kept}." if kept else ""), False


def metric_words(name: object) -> tuple[str, str, list[str]]:
    """Return what a metric is, its unit in words, and what it can be grouped by."""
    try:
        found = metric(str(name))
    except ValueError:
        return "", "", []
    return found.help, _VALUES.get(found.unit, ""), list(found.dimensions)


def preview_shown(store: Store, text: str, view: View, now: datetime) -> tuple[Any, Any]:
    """Return the words and the figure of a preview of the rule in `text`."""
    try:
        found = preview(store, parse_rule(text), view.project, now, _DAYS)
    except (ConfigError, BadRequest, StoreError) as error:
        return html.P(str(error), className="alert-error", role="alert"), figures.blank()
    return preview_words(found), alert_figures.preview_figure(found, view.canvas)


def preview_words(found: Preview) -> Any:
    """Return what a rule would have done, in words."""
    if not found.groups:
        return html.P("No calls in this time: nothing to try the rule on.", className="muted")
    times = "time" if found.firings == 1 else "times"
    text = (
        f"In the last {_DAYS} days it would have fired {found.firings} {times}, {found.per_week:.1f} a week."
    )
    noise = "" if found.noise is None else f" {units.percent(found.noise, 0)} were over within 15 minutes."
    tried = f" Tried on the {len(found.groups)} largest of {found.all_groups} label sets."
    partial = tried if found.all_groups > len(found.groups) else ""
    return html.P([html.Strong(text), noise, partial])


def layout(card: Card, view: ViewState) -> Any:
    """Return the editor on a card where the address names a rule, else what draws it once it is in sight.

    It has thirty inputs: drawn with the page, they would be what the page waits for.
    """
    return html.Div(card(_editor()) if view.option("rule") else _later(card), id=EDITOR, className=_WIDE)


def _later(card: Card) -> Any:
    waiting = html.Div(panels.skeleton(), className="alert-editor-waiting")
    # no more than this: the answer takes its place, and it is not asked for again
    return html.Div([card(waiting), dcc.Store(id=ids.asked(EDITOR))], className=_WIDE, **data(panel=EDITOR))


def _editor() -> Any:
    """The editor; its content comes by callbacks."""
    text = dmc.Textarea(
        id=TEXT, className="alert-text", debounce=600, spellCheck=False, **aria(label="Rule as TOML")
    )
    tabs = dmc.Tabs(
        [
            dmc.TabsList([dmc.TabsTab("Form", value="form"), dmc.TabsTab("TOML", value="toml")]),
            dmc.TabsPanel(rule_fields.fields(), value="form"),
            dmc.TabsPanel(text, value="toml"),
        ],
        value="form",
        className="rule-tabs",
    )
    chart = dcc.Graph(
        id=PREVIEW_CHART,
        figure=figures.blank(),
        config=figures.CONFIG,  # type: ignore[arg-type]
        responsive=True,
        className="chart",
    )
    said = html.P(id=NOTE, className="field-note", role="status")
    tried = dcc.Loading(
        [html.Div(id=PREVIEW_WORDS), html.Div(chart, className="alert-chart")],
        type="dot",
        delay_show=400,
        overlay_style={"visibility": "visible", "opacity": 0.5},
    )
    return html.Div(
        [
            dcc.Store(id=LOADED),
            html.Div([tabs, said, rule_fields.buttons()]),
            html.Div(tried, className="rule-preview"),
        ],
        className="alert-editor",
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the editor shows next; None leaves the text, or the fields, as they stand."""

    text: str | None
    values: Mapping[str, Any] | None
    shown: Shown
    note: tuple[str, bool]


def of_text(text: str) -> Answer:
    """Return what the editor shows of a text."""
    shown = read_form(text)
    return Answer(text, shown.values or None, shown, note_of(shown, text))


def of_fields(text: str, values: Mapping[str, Any]) -> Answer:
    """Return what the editor shows when a field was changed. What makes no sense leaves the text alone."""
    try:
        written = write_form(text, values)
    except ValueError as error:
        return Answer(None, None, Shown(values), (str(error), True))
    shown = read_form(written)
    has_new_kind = shown.values.get("kind") != read_form(text).values.get("kind")
    return Answer(
        written if written != text else None,
        shown.values if has_new_kind else None,
        shown,
        note_of(shown, written),
    )


def is_switched_on(text: str) -> bool:
    """Return whether a rule is on; one that cannot be read is."""
    try:
        return tomllib.loads(text).get("enabled", True) is not False
    except tomllib.TOMLDecodeError:
        return True


def register(app: Dash, context: Context, in_force: InForce, card: Card) -> None:
    """Add the callbacks."""
    _register_sync(app, context, in_force)

    @app.callback(Output(EDITOR, "children"), Input(ids.asked(EDITOR), "data"), prevent_initial_call=True)
    def draw(_asked: object) -> Any:
        return card(_editor())

    @app.callback(
        Output(field_id("metric"), "data"), Output(field_id("filter"), "data"), Input(ids.URL, "search")
    )
    async def offer(search: str) -> tuple[Any, Any]:
        view = await resolve(context, search, ctx.cookies)
        try:
            found = await asyncio.to_thread(choices, context.store, view.project, context.now())
        except StoreError:
            return [_metric_choice(one) for one in METRICS], []
        return found.metrics, found.values

    @app.callback(
        Output(PREVIEW_WORDS, "children"),
        Output(PREVIEW_CHART, "figure"),
        Input(TEXT, "value"),
        Input(ids.SCHEME, "data"),
        State(ids.URL, "search"),
    )
    async def show_preview(text: str | None, scheme: str, search: str) -> tuple[Any, Any]:
        view = await resolve(context, search, ctx.cookies, scheme)
        if not text or (text == TEMPLATE and not view.state.option("rule")):
            hint = "What the rule would have done in the last 30 days is shown here as you write it."
            return html.P(hint, className="muted"), figures.blank()
        return await asyncio.to_thread(preview_shown, context.store, text, view, context.now())


def _register_sync(app: Dash, context: Context, in_force: InForce) -> None:
    @app.callback(
        output={
            "text": Output(TEXT, "value"),
            "loaded": Output(LOADED, "data"),
            "fields": {name: Output(field_id(name), _property(name)) for name in FIELDS},
            "groups": {name: Output(group_id(name), "style") for name in _GROUPED},
            "dimensions": Output(field_id("group_by"), "data"),
            "help": Output("alert-metric-help", "children"),
            "unit": Output("alert-unit", "children"),
            "note": Output(NOTE, "children"),
            "tone": Output(NOTE, "className"),
            "switch": Output("alert-switch", "children"),
        },
        inputs={
            "search": Input(ids.URL, "search"),
            "text": Input(TEXT, "value"),
            "values": {name: Input(field_id(name), _property(name)) for name in FIELDS},
            "_copies": Input("alert-duplicate", "n_clicks"),
            "_fresh": Input("alert-new", "n_clicks"),
            "loaded": State(LOADED, "data"),
        },
    )
    async def keep_the_same(
        search: str,
        text: str | None,
        values: Mapping[str, Any],
        _copies: int,
        _fresh: int,
        loaded: str | None,
    ) -> dict[str, Any]:
        view = await resolve(context, search, ctx.cookies)
        wanted = f"{view.project} {view.state.option('rule')}"
        if loaded != wanted or text is None:
            name = view.state.option("rule")
            found = await asyncio.to_thread(_load, context.store, view.project, name, in_force)
            return _outputs(of_text(found), wanted)
        return _outputs(_changed(ctx.triggered_id, text, values), no_update)


def _changed(trigger: object, text: str, values: Mapping[str, Any]) -> Answer:
    if trigger == "alert-new":
        return of_text(TEMPLATE)
    if trigger == "alert-duplicate":
        return of_text(text if read_form(text).problem else duplicate(text))
    if trigger in {field_id(name) for name in FIELDS}:
        return of_fields(text, values)
    return of_text(text)


def _load(store: Store, project: str, name: str, in_force: InForce) -> str:
    try:
        return text_of(store, project, name, in_force(store, project))
    except StoreError:
        return TEMPLATE


def _property(name: str) -> str:
    return rule_fields.PROPERTIES.get(name, "value")


def _outputs(answer: Answer, loaded: Any) -> dict[str, Any]:
    shown = answer.shown.values
    help_text, unit, dimensions = metric_words(shown.get("metric", ""))
    message, is_bad = answer.note
    kind = str(shown.get("kind", "threshold"))
    return {
        "text": no_update if answer.text is None else answer.text,
        "loaded": loaded,
        "fields": {
            name: no_update if answer.values is None else answer.values.get(name, "") for name in FIELDS
        },
        "groups": {
            name: {} if rule_fields.is_shown(name, kind) else {"display": "none"} for name in _GROUPED
        },
        "dimensions": dimensions,
        "help": help_text,
        "unit": unit,
        "note": message,
        "tone": "field-note alert-error" if is_bad else "field-note",
        "switch": no_update if answer.text is None else _switch_label(answer.text),
    }


def _switch_label(text: str) -> str:
    return "Switch off" if is_switched_on(text) else "Switch on"
