from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.dashboard.conftest import PASSWORD, SECRET, USERNAME, served

from gnomon_collector.store import users
from gnomon_collector.store.engine import Store
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.auth import SESSION_COOKIE, is_same_site, login_page, safe_next

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def people(store: Store) -> Store:
    users.create_user(store, USERNAME, PASSWORD, "admin")
    return store


@pytest.fixture
def client(people: Store) -> Iterator[httpx.Client]:
    with served(create_dashboard(people, secret=SECRET)) as url, httpx.Client(base_url=url) as client:
        yield client


def log_in(client: httpx.Client, password: str = PASSWORD, **form: str) -> httpx.Response:
    return client.post("/login", data={"username": USERNAME, "password": password} | form, headers=OWN_PAGE)


def routes(app: Any) -> list[tuple[str, str]]:
    found = []
    for route in app.routes:
        methods = getattr(route, "methods", None) or {"GET"}
        found += [(method, route.path) for method in methods if method != "HEAD"]
    return found


def test_nobody_gets_anything_without_logging_in(people: Store) -> None:
    app = create_dashboard(people, secret=SECRET)
    with served(app) as url, httpx.Client(base_url=url) as client:
        tried = 0
        for method, path in routes(app):
            if path in ("/login", "/assets") or path.startswith("/_dash-ws"):
                continue
            path = path.replace("{package_name}", "dash").replace(
                "{fingerprinted_path:path}", "deps/react.js"
            )
            answer = client.request(method, path.replace("{path:path}", "/anything"), headers=OWN_PAGE)
            assert answer.status_code in (401, 303), (method, path, answer.status_code)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/login")
            tried += 1
        assert tried >= 10


def test_data_answers_401_and_pages_lead_to_the_login(client: httpx.Client) -> None:
    assert client.get("/export/traces.csv").status_code == 401
    assert client.post("/api/traces/rows", json={}, headers=OWN_PAGE).status_code == 401
    assert client.get("/_dash-layout").status_code == 401
    page = client.get("/traces?range=6h&q=a b")
    assert page.status_code == 303
    assert page.headers["location"] == "/login?next=/traces%3Frange%3D6h%26q%3Da%2520b"


def test_log_in_and_out(client: httpx.Client) -> None:
    assert log_in(client, password="wrong").status_code == 401
    answer = log_in(client, next="/traces?range=6h")
    assert (answer.status_code, answer.headers["location"]) == (303, "/traces?range=6h")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(SESSION_COOKIE)
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert client.get("/_dash-layout").status_code == 200
    assert client.get("/traces").status_code == 200
    assert client.post("/logout", headers=OWN_PAGE).status_code == 303
    assert client.get("/_dash-layout").status_code == 401


def test_a_forged_or_foreign_session_is_none(client: httpx.Client, people: Store) -> None:
    client.cookies.set(SESSION_COOKIE, "eyJ1c2VyIjogImFkbWluIn0=.aaaa.bbbb")
    assert client.get("/_dash-layout").status_code == 401
    other_app = create_dashboard(people, secret="another secret, as long as the other one")
    with served(other_app) as url, httpx.Client(base_url=url) as other:
        log_in(other)
        client.cookies.set(SESSION_COOKIE, other.cookies[SESSION_COOKIE])
    assert client.get("/_dash-layout").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_other_sites_cannot_post(client: httpx.Client, headers: dict[str, str]) -> None:
    log_in(client)
    for path in ("/_dash-update-component", "/api/traces/rows", "/login", "/logout"):
        assert client.post(path, headers=headers).status_code == 403


def test_origin_counts_where_the_browser_sends_no_fetch_metadata() -> None:
    assert is_same_site({"origin": "http://127.0.0.1:8050", "host": "127.0.0.1:8050"})
    assert not is_same_site({"origin": "http://127.0.0.1:8051", "host": "127.0.0.1:8050"})


def test_the_login_refuses_after_many_failures(client: httpx.Client) -> None:
    for _ in range(5):
        assert log_in(client, password="wrong").status_code == 401
    refused = log_in(client)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 6


@pytest.mark.parametrize(
    "target",
    ["https://evil", "//evil", "/\\evil", "javascript:alert(1)", "", "/login", "/a\r\nSet-Cookie: x=1"],
)
def test_a_login_sends_nobody_away(target: str) -> None:
    assert safe_next(target) == "/"
    assert safe_next("/trace/1?span=2") == "/trace/1?span=2"


def test_the_login_page_escapes_what_it_shows() -> None:
    page = login_page('/"><script>', "Wrong <b>", '"><script>alert(1)</script>')
    assert "<script>alert" not in page and "<b>" not in page and '/"><script>' not in page


def test_headers_allow_no_other_host(client: httpx.Client) -> None:
    login = client.get("/login").headers
    log_in(client)
    for path in ("/login", "/", "/_dash-layout", "/assets/app.js"):
        headers = login if path == "/login" else client.get(path).headers
        policy = headers["content-security-policy"]
        assert "//" not in policy.split("sha256-")[0] and "http" not in policy
        assert "unsafe-eval" not in policy
        if path in ("/", "/login"):
            assert "script-src 'self' 'sha256-" in policy and "frame-ancestors 'none'" in policy
        else:
            assert policy == "default-src 'none'; frame-ancestors 'none'"
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/_dash-layout").headers["cache-control"] == "no-store"


def test_without_auth_only_this_machines_names_are_served(people: Store) -> None:
    with served(create_dashboard(people, secret=SECRET, auth_required=False)) as url:
        assert httpx.get(f"{url}/_dash-layout").status_code == 200
        assert httpx.get(f"{url}/_dash-layout", headers={"Host": "evil.example"}).status_code == 403
        assert (
            httpx.post(f"{url}/api/traces/rows", json={}, headers={"Origin": "http://evil"}).status_code
            == 403
        )


def test_a_short_secret_is_refused(people: Store) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        create_dashboard(people, secret="short")


def test_the_dashboard_reports_nothing_about_itself(people: Store) -> None:
    app = create_dashboard(people, secret=SECRET)
    assert not app._native_telemetry.enabled()  # type: ignore[attr-defined]
