"""Ids of the components that callbacks and our scripts (assets/*.js) name."""

from typing import Any, Final

from dash import ALL

# --- shell -----------------------------------------------------------------------------------
URL: Final = "url"
PROVIDER: Final = "provider"
PAGE_KEY: Final = "page-key"
PAGE: Final = "page"
REFRESH_TIMER: Final = "refresh-timer"
SCHEME: Final = "scheme"
"""Store with the colour scheme after the viewer changed it; None until then."""
PROJECT: Final = "filter-project"
SERVICES: Final = "filter-service"
ENVIRONMENTS: Final = "filter-env"
MODELS: Final = "filter-model"
RANGE: Final = "filter-range"
REFRESH: Final = "filter-refresh"
REFRESH_NOW: Final = "refresh-now"
CUSTOM: Final = "custom-range"
CUSTOM_FROM: Final = "custom-from"
CUSTOM_TO: Final = "custom-to"
CUSTOM_APPLY: Final = "custom-apply"
RANGE_LABEL: Final = "range-label"
SCHEME_TOGGLE: Final = "scheme-toggle"

# --- overview ----------------------------------------------------------------------------------
EMPTY: Final = "overview-empty"
OVERVIEW_BODY: Final = "overview-body"
TRAFFIC_TILES: Final = "tiles-traffic"
LATENCY_TILES: Final = "tiles-latency"
LATENCY_OVER_TIME: Final = "latency-over-time"
LATENCY_DISTRIBUTION: Final = "latency-distribution"
SUCCESS_OVER_TIME: Final = "success-over-time"
SUCCESS_DISTRIBUTION: Final = "success-distribution"
TOKENS_BY_MODEL: Final = "tokens-by-model"
COST_BY_MODEL: Final = "cost-by-model"
RETRY: Final = "retry"

# --- traces ------------------------------------------------------------------------------------
GRID: Final = "traces-grid"
ROWS_SWITCH: Final = "traces-rows"
SEARCH: Final = "traces-search"
COLUMNS: Final = "traces-columns"
RESET: Final = "traces-reset"
EXPORT: Final = "traces-export"
EXPORT_JSONL: Final = "traces-export-jsonl"
COUNT: Final = "traces-count"

# --- trace -------------------------------------------------------------------------------------
TRACE_HEAD: Final = "trace-head"
WATERFALL: Final = "waterfall"
WATERFALL_DATA: Final = "waterfall-data"
SPAN: Final = "span-detail"
TRACE_SCORES: Final = "trace-scores"
TRACE_CONTEXT: Final = "trace-context"


def state_of(panel: str) -> str:
    """Return the id of the overlay (skeleton, empty, error) of a panel."""
    return f"{panel}-state"


ANY_OPTION: Final[dict[str, Any]] = {"type": "option", "name": ALL, "default": ALL}
"""Every control that writes an option of a page to the URL."""


def option(name: str, default: str) -> dict[str, str]:
    """Return the id of a control that writes its value to the URL, unless it is the default one."""
    return {"type": "option", "name": name, "default": default}


def asked(panel: str) -> str:
    """Return the id of the store in which assets/panels.js asks for a panel."""
    return f"{panel}-asked"


def brush_of(panel: str) -> str:
    """Return the id of the place where a zoomed chart offers what lies in it."""
    return f"{panel}-brush"


def done(name: str) -> str:
    """Return the id of the store that a script's function answers into.

    The answer means nothing, but Dash runs a callback only while its output is on the page.
    """
    return f"done-{name}"
