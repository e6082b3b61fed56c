"""What happened meanwhile, on every chart over time: releases, prompt versions, alerts that fired."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gnomon_collector.errors import StoreError
from gnomon_collector.store.alerts import AlertRecords, Incident
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import glance
from gnomon_collector.store.queries.filters import Scope, Window, floor_time
from gnomon_collector.store.queries.glance import Marker
from gnomon_dashboard.alert_figures import with_firings
from gnomon_dashboard.figures import Canvas, Figure, naive_time

_MOST_KEPT: Final = 64
_END_S: Final = 60


@dataclass(frozen=True, slots=True)
class Events:
    """What happened in a window: what changed, and the alerts about services that fired."""

    changes: Sequence[Marker] = ()
    firings: Sequence[Incident] = ()


@dataclass(slots=True)
class _Answer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_s: float = float("-inf")
    events: Events = field(default_factory=Events)


@dataclass
class Timeline:
    """Answers what happened; the charts of a page ask at the same time, the store is asked once.

    Attributes:
        fresh_s: seconds for which an answer holds: less than any refresh of a page.
    """

    store: Store
    fresh_s: float = 4.0
    _answers: dict[Hashable, _Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def events(self, scope: Scope, window: Window) -> Events:
        """Return what happened; nothing where the store cannot say: a chart does without its marks."""
        answer = self._answer((scope.project, scope.services, scope.environments), window)
        with answer.lock:
            if time.monotonic() - answer.asked_s > self.fresh_s:
                try:
                    answer.events = _ask(self.store, scope, window)
                except StoreError:
                    return Events()
                answer.asked_s = time.monotonic()
            return answer.events

    def _answer(self, scope: Hashable, window: Window) -> _Answer:
        # the end of a preset is the moment of the question: the charts of a page ask within seconds
        key = (scope, window.start, window.step_s, floor_time(window.end, _END_S))
        with self._lock:
            found = self._answers.pop(key, None) or _Answer()
            self._answers[key] = found
            while len(self._answers) > _MOST_KEPT:
                self._answers.pop(next(iter(self._answers)))
            return found


def marked(figure: Figure, events: Events, canvas: Canvas) -> Figure:
    """Return a figure with what happened; one without an axis of time as it is."""
    if figure.get("layout", {}).get("xaxis", {}).get("type") != "date":
        return figure
    return with_firings(with_markers(figure, events.changes, canvas), events.firings, canvas)


def _ask(store: Store, scope: Scope, window: Window) -> Events:
    return Events(glance.markers(store, scope, window), firings(store, scope, window))


def firings(store: Store, scope: Scope, window: Window) -> list[Incident]:
    """Return the alerts of a window about services; those about single users say little of the whole."""
    found = AlertRecords(store).incidents(scope.project, since=window.start)
    services = (*scope.services, "")
    return [
        one
        for one in found
        if "user_id" not in one.labels
        and (not scope.services or one.labels.get("service_name", "") in services)
    ]


def with_markers(figure: Figure, markers: Sequence[Marker], canvas: Canvas) -> Figure:
    """Return a figure over time with a dotted line where something changed.

    The mark on top of it says what, to who points at it: words would cover the data.
    """
    times = [naive_time(marker.time, canvas.zone) for marker in markers]
    dots = {"color": canvas.palette.muted, "width": 1, "dash": "dot"}
    shapes = [
        {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": dots} for at in times
    ]
    notes = [_note(marker.text, at, canvas) for marker, at in zip(markers, times, strict=True)]
    layout = figure["layout"]
    added = {
        "shapes": [*layout.get("shapes", []), *shapes],
        "annotations": [*layout.get("annotations", []), *notes],
    }
    return {**figure, "layout": layout | added}


def _note(text: str, at: str, canvas: Canvas) -> Figure:
    return {
        "x": at,
        "y": 1,
        "yref": "paper",
        "yanchor": "middle",
        "showarrow": False,
        "text": "◆",
        "hovertext": text,
        "font": {"size": 11, "color": canvas.palette.muted},
    }
