"""Addresses of our own pages. Pure."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import quote

from gnomon_dashboard import state
from gnomon_dashboard.state import ViewState

_PLAIN: Final = re.compile(r"[^<>\"'`\\%\x00-\x1f]{1,300}")


def escaped(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def to_page(path: str, view: ViewState) -> str:
    """Return the address of a page that keeps project, time, refresh and filters."""
    return path + state.to_query(kept(view))


def kept(view: ViewState) -> ViewState:
    """Return the part of a view that belongs to every page."""
    return ViewState(
        project=view.project,
        range=view.range,
        start=view.start,
        end=view.end,
        refresh_s=view.refresh_s,
        services=view.services,
        environments=view.environments,
        models=view.models,
    )


def to_calls(view: ViewState) -> Callable[[str, str], str]:
    """Return what makes the address of the calls that have a value in a column."""
    return _filtered(replace(kept(view), rows="calls"))


def to_traces(view: ViewState) -> Callable[[str, str], str]:
    """Return what makes the address of the traces that have a value in a column, whatever the filters."""
    return _filtered(replace(kept(view), services=(), environments=(), models=()))


def to_rows(view: ViewState, query: str) -> str:
    """Return the address of the Traces page with a query string of its own, such as ``rows=calls``."""
    own = state.parse(query)
    return "/traces" + state.to_query(
        replace(kept(view), rows=own.rows, text=own.text, sort=own.sort, filter=own.filter)
    )


def to_person(view: ViewState, kind: str, value: str) -> str:
    """Return the address of a user, company or session; empty for an id that is markup rather than an id."""
    if not _PLAIN.fullmatch(value):
        return ""
    folder = {"user": "users", "company": "companies", "session": "sessions"}[kind]
    return f"/{folder}/{quote(value, safe='')}{state.to_query(kept(view))}"


def at(view: ViewState, start: datetime, end: datetime) -> ViewState:
    """Return a view of another time (UTC)."""
    return replace(view, start=start, end=end)


def to_trace(view: ViewState, trace_id: str, span_id: str = "") -> str:
    """Return the address of a trace, and of a span in it."""
    return f"/trace/{quote(trace_id, safe='')}{state.to_query(replace(kept(view), span=span_id))}"


def _filtered(view: ViewState) -> Callable[[str, str], str]:
    return lambda column, value: (
        "/traces" + state.to_query(replace(view, filter=state.equals_filter(column, value)))
    )
