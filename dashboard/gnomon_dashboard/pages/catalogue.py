"""All pages, in the order of the navigation. A new page adds its module and its entry here."""

from typing import Final

from gnomon_dashboard.pages import overview, traces
from gnomon_dashboard.pages.entry import Entry

PAGES: Final[tuple[Entry, ...]] = (
    overview.PAGE,
    traces.PAGE,
)
