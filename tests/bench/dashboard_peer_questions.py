"""What the dashboards of Gnomon and Phoenix ask their servers for the same views, to be asked again by a clock.

Gnomon's requests are recorded in Chromium: all of a view is in its URL. Phoenix's are the GraphQL operations in
the JavaScript that its server ships, with the variables that its pages give them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from tests.bench.dashboard_browser import Posted, chromium
from tests.bench.dashboard_peer_spans import RARE_WORD
from tests.bench.gnomon_server import BenchError

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

QUESTIONS: Final = (
    "list of traces, newest first",
    "list of traces, slowest first",
    "open a trace",
    "latency percentiles and cost over time",
    "filter by a rare text",
    "filter by a common text",
)
COMMON_WORD: Final = "voucher"
_AT_ONCE: Final = 6
_QUIET_MS: Final = 1500
_LONGEST_REST_MS: Final = 60_000
_OPERATION: Final = re.compile(r"text:`(query (\w+)\b.*?)`", re.DOTALL)


@dataclass(frozen=True)
class Asker:
    """A server and what its dashboard sends it for each of `QUESTIONS`."""

    name: str
    url: str
    views: Mapping[str, Sequence[Posted]]

    def ask(self, client: httpx.Client, question: str) -> tuple[float, int]:
        """Send the requests of a view as a browser does, and return how long it took (ms), and the bytes of answers.

        Raises:
            BenchError: one of them was not answered.
        """
        started = time.perf_counter()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(lambda one: _post(client, self.url, one), self.views[question]))
        return 1e3 * (time.perf_counter() - started), sum(answers)


def _post(client: httpx.Client, url: str, posted: Posted) -> int:
    headers = {"Content-Type": "application/json", "Origin": url}
    answer = client.post(f"{url}{posted.path}", content=posted.body, headers=headers)
    if answer.status_code not in (200, 204) or b'"errors":[' in answer.content[:2000]:
        raise BenchError(f"{url}{posted.path} answered {answer.status_code}: {answer.text[:500]}")
    return len(answer.content)


# --- Gnomon ---------------------------------------------------------------------------------


def gnomon_asker(ui_url: str, project: str, trace_id: str) -> Asker:
    """Record what Gnomon's pages send.

    Args:
        trace_id: of the trace to open.
    """

    def at(path: str, **options: str) -> str:
        return f"{path}?{urlencode({'project': project, 'range': '24h', 'refresh': '0', **options})}"

    rows, charts = "/api/traces/rows", ("latency-quantiles.", "cost-over-time.")
    views = {
        QUESTIONS[0]: [(at("/traces"), rows)],
        QUESTIONS[1]: [(at("/traces", sort="-latency_ms"), rows)],
        QUESTIONS[2]: [(at(f"/trace/{trace_id}"), '"output":"span-detail.children"')],
        QUESTIONS[3]: [(at("/latency"), charts[0]), (at("/cost"), charts[1])],
        QUESTIONS[4]: [(at("/traces", rows="calls", q=f'"{RARE_WORD}"'), rows)],
        QUESTIONS[5]: [(at("/traces", rows="calls", q=f'"{COMMON_WORD}"'), rows)],
    }
    sent = {question: recorded(ui_url, pages) for question, pages in views.items()}
    # two charts of two pages: the rest of these pages is no part of the question
    sent[QUESTIONS[3]] = [
        one for one in sent[QUESTIONS[3]] if any(f'"output":"..{name}' in one.body for name in charts)
    ]
    return Asker("Gnomon", ui_url, sent)


def recorded(ui_url: str, pages: Sequence[tuple[str, str]]) -> list[Posted]:
    """Return what pages post from when they are opened until they are quiet.

    Args:
        pages: path and query string of each, and a text in the path or body of a request that it has to send.

    Raises:
        BenchError: it was not sent.
    """
    found: list[Posted] = []
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        for path, awaited in pages:
            found += _recorded(context.new_page(), f"{ui_url}{path}", awaited)
    return found


def _recorded(page: Page, url: str, awaited: str) -> list[Posted]:
    posted: list[Posted] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            posted.append(Posted(urlsplit(request.url).path, request.post_data or ""))

    def is_sent() -> bool:
        return any(awaited in one.path or awaited in one.body for one in posted)

    page.on("request", note)
    page.goto(url, wait_until="load", timeout=_LONGEST_REST_MS)
    waited_ms, seen = 0, 0
    while (not is_sent() or len(posted) > seen) and waited_ms < _LONGEST_REST_MS:
        seen = len(posted)
        page.wait_for_timeout(_QUIET_MS)
        page.wait_for_load_state("networkidle", timeout=_LONGEST_REST_MS)
        waited_ms += _QUIET_MS
    page.close()
    if not is_sent():
        raise BenchError(f"Chromium sent nothing with {awaited!r} at {url}")
    return posted


# --- Phoenix --------------------------------------------------------------------------------


def phoenix_asker(url: str, home: Path, now: datetime, trace_id: str) -> Asker:
    """Put together what Phoenix's pages send.

    Args:
        home: its virtualenv, whose JavaScript has the operations.
        now: end of the last 24 hours (UTC).
        trace_id: of the trace to open.

    Raises:
        BenchError: this version of Phoenix has other operations.
    """
    operations = _operations(home)
    with httpx.Client(trust_env=False, timeout=60) as client:
        project = _answer(client, url, "{ projects { edges { node { id name } } } }")["projects"]["edges"]
        project_id = next(edge["node"]["id"] for edge in project if edge["node"]["name"] == "default")
        opened = {"id": project_id, "traceId": trace_id}
        detail = _answer(client, url, operations["TraceDetailsQuery"], opened)
    root_id = detail["project"]["trace"]["rootSpans"]["edges"][0]["span"]["id"]
    span = {"start": (now - timedelta(days=1)).isoformat(), "end": now.isoformat()}
    listed = {"id": project_id, "first": 30, "timeRange": span}
    charted = {
        "projectId": project_id,
        "timeRange": span,
        "timeBinConfig": {"scale": "HOUR", "utcOffsetMinutes": 0},
    }

    def sent(name: str, variables: Mapping[str, object]) -> Posted:
        if name not in operations:
            raise BenchError(f"Phoenix has no operation {name}: its dashboard has changed")
        return _graphql(operations[name], variables)

    def filtered(word: str) -> Posted:
        condition = f"'{word}' in input.value"
        return sent("SpansTableSpansQuery", {**listed, "filterCondition": condition, "rootSpansOnly": False})

    by_latency = {"col": "latencyMs", "dir": "desc"}
    views = {
        QUESTIONS[0]: [sent("TracesTableQuery", listed)],
        QUESTIONS[1]: [sent("TracesTableQuery", {**listed, "sort": by_latency})],
        QUESTIONS[2]: [sent("TraceDetailsQuery", opened), sent("SpanDetailsQuery", {"id": root_id})],
        QUESTIONS[3]: [
            sent("TraceLatencyPercentilesTimeSeriesQuery", charted),
            sent("TraceTokenCostTimeSeriesQuery", charted),
        ],
        QUESTIONS[4]: [filtered(RARE_WORD)],
        QUESTIONS[5]: [filtered(COMMON_WORD)],
    }
    return Asker("Phoenix", url, views)


def _operations(home: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in home.glob("lib/python*/site-packages/phoenix/server/static/assets/index-*.js"):
        found |= {name: text for text, name in _OPERATION.findall(path.read_text(encoding="utf-8"))}
    if not found:
        raise BenchError(f"No GraphQL operation in the JavaScript of Phoenix in {home}")
    return found


def _graphql(query: str, variables: Mapping[str, object]) -> Posted:
    return Posted("/graphql", json.dumps({"query": query, "variables": variables}))


def _answer(
    client: httpx.Client, url: str, query: str, variables: Mapping[str, object] | None = None
) -> dict[str, Any]:
    posted = _graphql(query, variables or {})
    headers = {"Content-Type": "application/json"}
    body = client.post(f"{url}{posted.path}", content=posted.body, headers=headers).json()
    if body.get("errors"):
        raise BenchError(f"Phoenix refused a query: {str(body['errors'])[:500]}")
    found: dict[str, Any] = body["data"]
    return found
