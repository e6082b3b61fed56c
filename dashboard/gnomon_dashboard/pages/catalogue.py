"""All pages, in the order of the navigation. A new page adds its module and its entry here."""

from typing import Final

from gnomon_dashboard.pages import (
    alerts,
    budgets,
    cache,
    cost,
    datasets,
    drift,
    incident,
    latency,
    overview,
    people,
    prompts,
    quality,
    review,
    settings,
    slos,
    traces,
)
from gnomon_dashboard.pages.entry import Entry

PAGES: Final[tuple[Entry, ...]] = (
    overview.PAGE,
    latency.PAGE,
    cost.PAGE,
    cache.PAGE,
    alerts.PAGE,
    incident.PAGE,
    slos.PAGE,
    budgets.PAGE,
    traces.PAGE,
    *people.PAGES,
    prompts.PAGE,
    quality.PAGE,
    review.PAGE,
    datasets.PAGE,
    drift.PAGE,
    settings.PAGE,
)
