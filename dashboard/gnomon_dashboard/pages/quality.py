"""Quality: what the judge, the users and the checks say of answers, and how sure that is."""

from datetime import date, timedelta
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.store import canaries, quality, quality_checks, quality_satisfaction
from gnomon_collector.store.canaries import CanaryState
from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality import QueueState
from gnomon_collector.store.quality_checks import CheckRate
from gnomon_collector.store.quality_satisfaction import Correlation
from gnomon_dashboard import quality_languages, quality_panels
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_TURN_ON: Final = (
    "export GNOMON_JUDGE_BASE_URL=https://api.openai.com/v1\n"
    "export GNOMON_JUDGE_API_KEY=sk-…\n"
    "export GNOMON_JUDGE_MODEL=gpt-4.1-mini\n"
    "gnomon serve"
)
_RATE: Final = 'gnomon.feedback("user_feedback", 1.0, trace_id=trace_id)'
_EMPTY: Final = "Nothing was judged in this time range"

_QUEUE_DAYS: Final = 30


def _correlations(store: Store, view: View) -> list[Correlation]:
    return quality_satisfaction.judge_and_users(store, view.scope, view.window)


def _check_rates(store: Store, view: View) -> list[CheckRate]:
    return quality_checks.check_rates(store, view.scope, view.window)


def _queue(store: Store, view: View) -> list[QueueState]:
    return quality.queue_states(store, view.project, view.window.end - timedelta(days=_QUEUE_DAYS))


def _canaries(store: Store, view: View) -> list[CanaryState]:
    return canaries.canary_states(store, view.window.start, view.window.end)


def _costs(store: Store, view: View) -> list[tuple[date, str, float, int]]:
    return quality.cost_by_day(store, view.project, view.window.start.date(), view.window.end.date())


PANELS: Final = (
    Panel(
        "quality-scores",
        "Scores at a glance",
        "",
        "",
        quality_panels.ask_scores,
        quality_panels.draw_scores,
        kind="tiles",
    ),
    Panel(
        "quality-series",
        "Scores over time",
        "Mean of each evaluator (1 is good), weighted by how answers were drawn, with the interval of 95 %"
        " as a band: around the evaluator with most verdicts, or around both where there are two.",
        "",
        quality_panels.ask_series,
        quality_panels.draw_series,
        explore="",
        empty=_EMPTY,
        empty_code=_TURN_ON,
        is_wide=True,
    ),
    Panel(
        "quality-groups",
        "Compared",
        "Each group with its interval, and its difference from all others together; coloured where the"
        " interval leaves out 0 and both samples are large enough.",
        "",
        quality_panels.ask_groups,
        quality_panels.draw_groups,
        kind="content",
        explore="",
        empty=_EMPTY,
        is_wide=True,
    ),
    Panel(
        "quality-languages",
        "Quality by language",
        "What judges say of the answers in each language (means weighted by how answers were drawn), and"
        " users; in brackets the interval of 95 %. The language leads to its calls.",
        "",
        quality_languages.ask,
        quality_languages.draw,
        kind="content",
        explore="",
        empty=_EMPTY,
        is_wide=True,
    ),
    Panel(
        "quality-examples",
        "Worst answers",
        "The lowest verdicts of each evaluator with the judge's reasons. The time leads to the trace.",
        "",
        quality_panels.ask_examples,
        quality_panels.draw_examples,
        kind="content",
        explore="",
        empty="No answer was judged less than good",
        is_wide=True,
    ),
    Panel(
        "quality-satisfaction",
        "What users say",
        "Share of ratings by users that are good (0.5 or more), by the last model call of what they rated,"
        " with Wilson's interval.",
        "",
        quality_panels.ask_satisfaction,
        quality_panels.draw_satisfaction,
        kind="content",
        explore="",
        empty="No user rated an answer",
        empty_code=_RATE,
    ),
    Panel(
        "quality-correlation",
        "Do judge and users agree?",
        "Spearman's rank correlation of the judge's values and the users' on the same traces. Near 0 an"
        " evaluator measures something that users do not mind.",
        "",
        _correlations,
        quality_panels.draw_correlation,
        kind="content",
        explore="",
        empty="No answer was judged by both",
    ),
    Panel(
        "quality-trust",
        "Do judge and people agree?",
        "Cohen's kappa of the judge and of labels from the page Review: 0 is chance, 1 is full agreement. By"
        " week: a falling row is a judge that drifts from people. Good from: `gnomon judge calibrate`.",
        "",
        quality_panels.ask_trust,
        quality_panels.draw_trust,
        kind="content",
        explore="",
        empty="Nobody has labelled judged answers yet: open the page Review",
    ),
    Panel(
        "quality-check-rates",
        "Checks by code",
        "Share of all answers that fail a check, not of a sample; no model is asked.",
        "",
        _check_rates,
        quality_panels.draw_checks,
        explore="rows=calls",
        empty="No answer was checked in this time range",
    ),
    Panel(
        "quality-check-table",
        "Checks in numbers",
        "Failing answers with Wilson's interval. Checks of your own are [[checks]] in judge.toml.",
        "",
        _check_rates,
        quality_panels.draw_check_table,
        kind="content",
        explore="rows=calls",
        empty="No answer was checked in this time range",
    ),
    Panel(
        "quality-cost",
        "Cost of judging",
        "What the judge's calls for this project cost a day (UTC), by evaluator; calls under way count with"
        " the most they may cost.",
        "USD",
        _costs,
        quality_panels.draw_cost,
        explore="",
        empty="The judge was not asked in this time range",
        has_time_axis=False,
    ),
    Panel(
        "quality-canaries",
        "Canaries",
        "Fixed prompts sent to models on a schedule, of all projects. Before → now: the two halves of the"
        " time range. More than one model answering to the same name is a silent change of the provider.",
        "",
        _canaries,
        quality_panels.draw_canaries,
        kind="content",
        explore="",
        empty="No canary answered: add [[canaries]] to judge.toml",
        is_wide=True,
    ),
    Panel(
        "quality-queue",
        "Judging",
        "Tasks planned in the last 30 days. Lag: how long the oldest one that could be judged now has"
        " waited. Skipped: nothing to judge (no documents, no reference), or the budget was used up.",
        "",
        _queue,
        quality_panels.draw_queue,
        kind="content",
        explore="",
        empty="Nothing was planned",
        empty_code=_TURN_ON,
        is_wide=True,
    ),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    return [html.H1("Quality", className="visually-hidden"), panel.grid(PANELS)]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)


PAGE: Final = Entry(
    "/quality",
    "Quality",
    "Quality",
    "quality",
    layout,
    register,
    letter="q",
    layout_key=lambda view: view.option("by"),
    panels=PANELS,
)
