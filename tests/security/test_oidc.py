"""Logging in with a real identity provider on loopback: what comes in, what is refused, and with which roles."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.security import identity_provider
from tests.security.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider

from gnomon_collector.errors import ConfigError
from gnomon_collector.identity import (
    LoginRefused,
    Provider,
    RoleRule,
    identity_of,
    parse_role_rules,
    provider_of,
)
from gnomon_collector.settings import load_settings
from gnomon_collector.store import users
from gnomon_collector.store.engine import Store
from gnomon_dashboard.app import create_dashboard

PROVIDER = Provider(
    "", CLIENT_ID, CLIENT_SECRET, "openid email profile", "Test SSO", "email", (), "", (), "viewer", ""
)


@dataclass
class Site:
    """A dashboard that lets people in with the provider."""

    address: str
    client: httpx.Client

    def log_in(self, next_path: str = "/traces") -> httpx.Response:
        """Go the whole way that a browser goes, and return the last answer before the page itself."""
        begun = self.client.get("/oidc/login", params={"next": next_path})
        assert begun.status_code == 302, begun.text
        back = httpx.get(begun.headers["location"])
        assert back.status_code == 302, back.text
        return self.client.get(back.headers["location"])


@pytest.fixture(scope="module")
def identity() -> Iterator[IdentityProvider]:
    with identity_provider.running() as provider:
        yield provider


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[ExitStack, dict[Provider, str]]]:
    """The dashboards that run, by what is set for the provider."""
    with ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def site(
    identity: IdentityProvider, store: Store, addresses: tuple[ExitStack, dict[Provider, str]]
) -> Callable[..., Site]:
    """Return what makes a dashboard with some of the provider's settings changed, or a new visitor of it."""
    stack, known = addresses
    fresh = IdentityProvider()
    for name in ("claims", "wrong", "signs_with", "announces", "seen", "asked_tokens", "codes"):
        setattr(identity, name, getattr(fresh, name))

    def make(**changes: Any) -> Site:
        provider = replace(PROVIDER, issuer=identity.issuer, **changes)
        if provider not in known:
            app = create_dashboard(store, secret=SECRET, provider=provider)
            known[provider] = stack.enter_context(served(app))
        identity.client.redirect_uri = f"{known[provider]}/oidc/callback"
        return Site(known[provider], stack.enter_context(httpx.Client(base_url=known[provider])))

    return make


def test_somebody_logs_in_and_goes_where_they_wanted(
    site: Callable[..., Site], identity: IdentityProvider, store: Store
) -> None:
    shop = site()
    answer = shop.log_in("/traces?range=6h")
    assert (answer.status_code, answer.headers["location"]) == (303, "/traces?range=6h")
    assert shop.client.get("/_dash-layout").status_code == 200
    user = users.find_user(store, "ada@example.com")
    assert user is not None and (user.role, user.subject) == ("viewer", f"{identity.issuer}|4711")
    shop.client.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert shop.client.get("/_dash-layout").status_code == 401


def test_the_code_flow_has_pkce_state_and_nonce(
    site: Callable[..., Site], identity: IdentityProvider
) -> None:
    site().log_in()
    asked, token = identity.seen[0], identity.asked_tokens[0]
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 16 and len(asked["nonce"]) >= 16
    digest = urlsafe_b64encode(sha256(token["code_verifier"].encode()).digest()).rstrip(b"=")
    assert asked["code_challenge"] == digest.decode()


@pytest.mark.parametrize(
    ("wrong", "signs_with"),
    [
        ({}, "other key"),
        ({}, "client secret"),
        ({}, "none"),
        ({"nonce": "another"}, "right"),
        ({"exp": 1_700_000_000, "iat": 1_600_000_000}, "right"),
        ({"aud": "another client"}, "right"),
        ({"aud": "another client", "azp": CLIENT_ID}, "right"),
        ({"iss": "https://evil.example"}, "right"),
        ({"sub": None}, "right"),
    ],
    ids=["key", "client-secret", "unsigned", "nonce", "expired", "audience", "azp", "issuer", "subject"],
)
def test_a_wrong_token_is_refused(
    site: Callable[..., Site],
    identity: IdentityProvider,
    store: Store,
    wrong: dict[str, Any],
    signs_with: str,
) -> None:
    identity.wrong, identity.signs_with = wrong, signs_with
    shop = site()
    answer = shop.log_in()
    assert answer.status_code == 401 and "The login with Test SSO failed" in answer.text
    assert shop.client.get("/_dash-layout").status_code == 401
    assert users.list_users(store) == []


def test_a_state_that_was_not_given_out_here_is_refused(site: Callable[..., Site], store: Store) -> None:
    shop = site()
    begun = shop.client.get("/oidc/login")
    back = httpx.get(begun.headers["location"]).headers["location"]
    stranger = httpx.Client(base_url=shop.address)
    assert stranger.get(back).status_code == 401
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert shop.client.get(f"/oidc/callback?code={code}&state=forged").status_code == 401
    assert shop.client.get("/oidc/callback").status_code == 401
    assert shop.client.get("/oidc/callback?error=access_denied").status_code == 401
    assert users.list_users(store) == []


def test_another_issuers_configuration_is_not_trusted(
    site: Callable[..., Site], identity: IdentityProvider
) -> None:
    for announced in (
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
    ):
        identity.announces = announced
        shop = site(label=str(announced))
        begun = shop.client.get("/oidc/login")
        status = begun.status_code if begun.status_code != 302 else shop.log_in().status_code
        assert status == 401, announced


def test_a_provider_that_is_away_is_said_so(store: Store) -> None:
    away = replace(PROVIDER, issuer="http://127.0.0.1:9")
    with served(create_dashboard(store, secret=SECRET, provider=away)) as address:
        answer = httpx.get(f"{address}/oidc/login")
        assert answer.status_code == 401 and "Try again" in answer.text


def test_only_verified_addresses_of_the_domain_come_in(
    site: Callable[..., Site], identity: IdentityProvider
) -> None:
    shop = site(email_domains=("example.com",))
    assert shop.log_in().status_code == 303
    for claims in (
        {"sub": "1", "email": "eve@evil.example"},
        {"sub": "2", "email": "eve@example.com.evil.example"},
        {"sub": "3", "email": "eve@example.com", "email_verified": False},
        {"sub": "4", "email": "eve@example.com", "email_verified": None},
    ):
        identity.claims = claims
        assert shop.log_in().status_code == 403, claims


def test_groups_become_roles_at_each_login(
    site: Callable[..., Site], identity: IdentityProvider, store: Store
) -> None:
    rules = parse_role_rules("ops=admin, shop-team=editor@shop, everybody=viewer@shop")
    shop = site(role_claim="realm_access.roles", role_rules=rules, default_role="")
    identity.claims |= {"realm_access": {"roles": ["everybody", "shop-team"]}}
    assert shop.log_in().status_code == 303
    ada = users.find_user(store, "ada@example.com")
    assert ada is not None and (ada.role, ada.project_roles) == ("", {"shop": "editor"})
    assert shop.log_in().status_code == 303
    assert users.find_user(store, "ada@example.com") == ada, "an unchanged person ends no sessions"
    identity.claims |= {"realm_access": {"roles": ["ops"]}}
    shop.log_in()
    ada = users.find_user(store, "ada@example.com")
    assert ada is not None and (ada.role, ada.project_roles) == ("admin", {})
    identity.claims |= {"realm_access": {"roles": ["strangers"]}}
    refused = shop.log_in()
    assert refused.status_code == 403 and "none of the groups" in refused.text


def test_without_rules_the_roles_given_here_stay(site: Callable[..., Site], store: Store) -> None:
    shop = site(default_role="")
    assert shop.log_in().status_code == 303
    assert shop.client.get("/").status_code == 403, "no role on any project yet"
    users.set_role(store, "ada@example.com", "editor", "shop")
    shop.log_in()
    ada = users.find_user(store, "ada@example.com")
    assert ada is not None and (ada.role, ada.project_roles) == ("", {"shop": "editor"})


def test_nobody_takes_over_a_login_of_that_name(
    site: Callable[..., Site], identity: IdentityProvider, store: Store
) -> None:
    users.create_user(store, "ada@example.com", PASSWORD, "admin")
    shop = site()
    assert shop.log_in().status_code == 403
    users.delete_user(store, "ada@example.com")
    assert shop.log_in().status_code == 303
    identity.claims |= {"sub": "another person"}
    assert shop.log_in().status_code == 403


def test_who_comes_from_the_provider_has_no_password(site: Callable[..., Site], store: Store) -> None:
    site().log_in()
    assert users.verify_password(store, "ada@example.com", "") is None
    with pytest.raises(users.BadRequest, match="identity provider"):
        users.set_password(store, "ada@example.com", "a good password")


def test_the_login_page_offers_the_provider_and_passwords(site: Callable[..., Site]) -> None:
    page = site().client.get("/login?next=/traces").text
    assert '<a class="login-other" href="/oidc/login?next=/traces">Log in with Test SSO</a>' in page
    assert 'name="password"' in page


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"oidc_issuer": "https://idp"}, "GNOMON_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "http://idp", "oidc_client_id": "x"}, "https"),
        (
            {"oidc_issuer": "https://idp", "oidc_client_id": "x", "oidc_roles": "a=admin"},
            "GNOMON_OIDC_ROLE_CLAIM",
        ),
        (
            {"oidc_issuer": "https://i", "oidc_client_id": "x", "oidc_role_claim": "g", "oidc_roles": "a"},
            "no sense",
        ),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        provider_of(load_settings(**settings))


def test_rules_and_claims() -> None:
    assert parse_role_rules("a=viewer@shop, b=admin") == (
        RoleRule("a", "viewer", "shop"),
        RoleRule("b", "admin", "*"),
    )
    assert provider_of(load_settings()) is None
    with pytest.raises(LoginRefused, match="'email'"):
        identity_of(PROVIDER, {"sub": "1"})
    groups = replace(PROVIDER, role_claim="https://x/groups", role_rules=parse_role_rules("a=editor"))
    assert identity_of(groups, {"sub": "1", "email": "a@b", "https://x/groups": "c a"}).roles == (
        "editor",
        {},
    )
