"""Asking a dashboard for everything that it has: pages, callbacks, panels as SQL and CSV, data and exports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from tests.security import rival

from gnomon_dashboard.pages.rule_editor import EDITOR

PAGES: Final = (
    "/",
    "/latency",
    "/cost",
    "/cache",
    "/alerts",
    "/incident/canary7f3a incident_id",
    "/slos",
    "/budgets",
    "/traces",
    f"/trace/{rival.TRACE_ID}",
    "/sessions",
    "/sessions/canary7f3a rich-s3",
    "/users",
    "/users/canary7f3a rich-u1",
    "/companies",
    "/companies/canary7f3a initech",
    "/prompts",
    "/prompts/canary7f3a reply",
    "/quality",
    "/review",
    "/datasets",
    "/datasets/canary7f3a name",
    "/drift",
    "/settings",
)
OWN_PAGE: Final = {"Sec-Fetch-Site": "same-origin"}
_SPAN: Final = f"{rival.TRACE_ID}/{rival.SPAN_ID}"
_RULE: Final = 'name = "x"\nmetric = "calls"\n[condition]\nkind = "threshold"\nabove = 1'


class Client(Protocol):
    """What a walk needs of an HTTP client."""

    def request(self, method: str, url: str, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Answer:
    """What came back; `echo` is the name in the address, which a page may repeat."""

    asked: str
    status: int
    text: str
    echo: str = ""

    @property
    def said(self) -> str:
        """The answer without what was asked."""
        return self.text.replace(self.echo, "") if self.echo else self.text


@dataclass(frozen=True)
class Callback:
    """A callback of Dash that runs on the server."""

    output: str
    inputs: tuple[Mapping[str, str], ...]
    state: tuple[Mapping[str, str], ...]

    def body(self, search: str, path: str) -> dict[str, Any]:
        """Return the request that a page at that address would send."""
        inputs = [{**one, "value": _value(one, search, path)} for one in self.inputs]
        return {
            "output": self.output,
            "outputs": _outputs(self.output),
            "inputs": inputs,
            "state": [{**one, "value": _value(one, search, path)} for one in self.state],
            "changedPropIds": [f"{one['id']}.{one['property']}" for one in inputs],
        }


def callbacks(client: Client) -> list[Callback]:
    """Return every callback that runs on the server."""
    listed = client.request("GET", "/_dash-dependencies").json()
    return [
        Callback(one["output"], tuple(one["inputs"]), tuple(one["state"]))
        for one in listed
        if not one["clientside_function"]
    ]


def page_of(callback: Callback) -> str:
    """Return the page that a callback is best asked from: its ids begin with the name of a page."""
    name = callback.output.strip(".").partition("-")[0]
    named = {page.split("/")[1]: page for page in PAGES if page.count("/") == 2}
    aliases = {"session": "sessions", "user": "users", "company": "companies", "prompt": "prompts"}
    return named.get(aliases.get(name, name), named["trace"] if name in ("span", "waterfall") else "/")


def everything(client: Client, project: str) -> Iterator[Answer]:
    """Ask for all that can be read, with a project in the address; "" for none."""
    query, search = _address(project)
    for page in PAGES:
        yield _ask(client, "GET", page, params=query)
    for callback in callbacks(client):
        path = page_of(callback)
        answer = _ask(client, "POST", "/_dash-update-component", json=callback.body(search, path))
        asked = f"{callback.output[:80]} at {path} for {project!r}"
        yield Answer(asked, answer.status, answer.text, _name_in(path))
    for panel in _panels(client):
        for page in (f"/api/panels/{panel}/sql", f"/export/panels/{panel}.csv"):
            path = f"/users/{rival.CANARY} rich-u1"
            yield replace(_ask(client, "GET", page, params=query | {"path": path}), echo=_name_in(path))
    yield from data(client, project)


def data(client: Client, project: str) -> Iterator[Answer]:
    """Ask the routes that answer with data, callbacks and panels left out."""
    query, search = _address(project)
    rows = {"search": search, "limit": 50}
    yield _ask(client, "POST", "/api/traces/rows", json=rows)
    yield _ask(client, "POST", "/api/traces/rows", json={"search": f"{search}&rows=calls"})
    yield _ask(client, "POST", "/api/traces/count", json=rows)
    for name in ("", "user", "model", "service", "prompt", "session", "company", "name"):
        yield _ask(client, "GET", "/api/traces/suggest", params={**query, "field": name})
    for path in ("/export/traces.csv", "/export/traces.jsonl", f"/export/trace/{rival.TRACE_ID}.jsonl"):
        yield _ask(client, "GET", path, params=query)
    for path in (f"/api/spans/{_SPAN}", f"/api/spans/{_SPAN}/replay"):
        yield _ask(client, "GET", path, params=query)
    yield _ask(client, "GET", "/api/views", params={"project": project})
    yield _ask(client, "GET", "/api/review/progress", params={"project": project})
    yield _ask(client, "GET", "/api/datasets", params={"project": project})
    of = {"project": project, "dataset": f"{rival.CANARY} name"}
    for kind in ("fine-tuning", "preferences", "examples"):
        path = f"/export/datasets/{kind}.jsonl"
        yield replace(_ask(client, "GET", path, params=of), echo=of["dataset"])
    body = {"project": project or "shop", "evaluator": f"{rival.CANARY} evaluator"}
    yield replace(_ask(client, "POST", "/api/review/next", json=body), echo=body["evaluator"])


def writes(project: str) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield (method, path, body or parameters, role that it takes) of every route that changes something."""
    of = {"project": project}
    yield "POST", "/api/views", {**of, "name": "v", "path": "/traces"}, "editor"
    yield "DELETE", "/api/views/none", of, "editor"
    yield "POST", "/api/scores", {**of, "trace_id": "a" * 32, "value": 1}, "editor"
    for path in ("rules", "rules/delete", "rules/switch"):
        yield "POST", f"/api/alerts/{path}", {**of, "definition": _RULE}, "editor"
    yield "POST", "/api/alerts/silences", {**of, "matchers": "rule=x"}, "editor"
    for path in ("silences/end", "acknowledge"):
        yield "POST", f"/api/alerts/{path}", {**of, "id": "none"}, "editor"
    dataset = {**of, "dataset": "d"}
    yield "POST", "/api/datasets", {**of, "name": "d"}, "editor"
    yield "POST", "/api/datasets/delete", dataset, "editor"
    yield "POST", "/api/datasets/add", {**dataset, "trace_id": "a" * 32}, "editor"
    yield "POST", "/api/datasets/add-result", {**dataset, "search": f"?project={project}"}, "editor"
    for path in ("expect", "remove"):
        yield "POST", f"/api/datasets/{path}", {**dataset, "example": "e"}, "editor"
    label = {"evaluator": "e", "task_id": "t", "unit": "trace", "trace_id": "a" * 32, "label": "unsure"}
    yield "POST", "/api/review/label", {**of, **label, "happened_at": "2026-01-01T00:00:00Z"}, "editor"
    yield "POST", "/api/settings/project", {**of, "span_days": 30}, "admin"
    yield "POST", "/api/settings/keys", {**of, "scope": "ingest"}, "admin"
    for path in ("keys/rotate", "keys/revoke"):
        yield "POST", f"/api/settings/{path}", {"key_id": "gnm_i_none"}, "admin of all"
    for path in ("users", "users/role"):
        yield "POST", f"/api/settings/{path}", {**of, "username": "eve", "role": "viewer"}, "admin of all"
    for path in ("users/password", "users/delete"):
        yield "POST", f"/api/settings/{path}", {"username": "eve"}, "admin of all"


def _panels(client: Client) -> list[str]:
    ids = {one["id"] for callback in callbacks(client) for one in callback.inputs}
    found = {str(one).removesuffix("-asked") for one in ids if str(one).endswith("-asked")}
    return sorted(found - {EDITOR})  # is drawn when it comes into sight, as panels are, and has no query


def _ask(client: Client, method: str, path: str, **options: Any) -> Answer:
    answer = client.request(method, path, headers=OWN_PAGE, **options)
    return Answer(f"{method} {path} {options}", answer.status_code, answer.text, _name_in(path))


def _address(project: str) -> tuple[dict[str, str], str]:
    """Return the parameters of an address with a project, and its query string."""
    query = {"range": "24h"} | ({"project": project} if project else {})
    return query, "?" + "&".join(f"{name}={value}" for name, value in query.items())


def _name_in(path: str) -> str:
    name = path.rpartition("/")[2]
    return name if rival.CANARY in name else ""


def _value(one: Mapping[str, str], search: str, path: str) -> Any:
    name = one["property"]
    if name == "search":
        return search
    if name == "pathname":
        return path
    if str(one["id"]).endswith("-asked"):
        return {"search": search, "path": path, "scheme": "light"}
    if name == "relayoutData":
        return {"xaxis.range[0]": "2026-01-01 00:00", "xaxis.range[1]": "2026-01-02 00:00"}
    if str(one["id"]) == "waterfall-data":
        return {"selected": rival.SPAN_ID}
    return 1 if name in ("n_clicks", "n_intervals") else None


def _outputs(output: str) -> Any:
    several = re.fullmatch(r"\.\.(.*)\.\.", output)
    if several is None:
        return _output(output)
    return [_output(one) for one in several[1].split("...")]


def _output(text: str) -> dict[str, str]:
    name, _, prop = text.rpartition(".")
    return {"id": name, "property": prop.partition("@")[0]}
