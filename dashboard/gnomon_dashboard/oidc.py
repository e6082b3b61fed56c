"""Logging in with an identity provider: OpenID Connect's code flow, with PKCE, state and nonce, by authlib.

Only the configured issuer is ever asked: its configuration must name itself, its addresses must be https (or
on this machine), and redirects are not followed. What tells a login apart (state, nonce, code verifier) is in
the signed session cookie until the browser comes back.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from authlib.integrations.starlette_client import OAuth
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.identity import Identity, LoginRefused, Provider, identity_of, is_safe_address
from gnomon_collector.store.engine import Store
from gnomon_collector.store.users import User, find_user, log_in_by_subject
from gnomon_dashboard.auth import OIDC_CALLBACK, OIDC_LOGIN, Sessions, login_page, safe_next

_NEXT: Final = "next"
_LEEWAY_S: Final = 60
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures with a key of the provider's own; never one with the client's secret, never none."""

_log = logging.getLogger(__name__)


def add_routes(app: FastAPI, store: Store, sessions: Sessions, provider: Provider) -> None:
    """Add ``GET /oidc/login``, which sends the browser away, and ``/oidc/callback``, where it comes back."""
    client = _client(provider)

    @app.get(OIDC_LOGIN, include_in_schema=False)
    async def begin(request: Request, next: str = "/") -> Response:
        try:
            await _trusted_metadata(client, provider)
            base = provider.public_url or str(request.base_url).rstrip("/")
            answer: Response = await client.authorize_redirect(request, f"{base}{OIDC_CALLBACK}")
        except Exception as error:  # whatever the provider answers: a failed login is no error of ours
            return _failed(provider, error)
        request.session[_NEXT] = safe_next(next)
        return answer

    @app.get(OIDC_CALLBACK, include_in_schema=False)
    async def come_back(request: Request) -> Response:
        goes_to = safe_next(str(request.session.get(_NEXT, "/")))
        try:
            await _trusted_metadata(client, provider)
            claims = await _checked_claims(client, provider, request)
            user = await asyncio.to_thread(_known_here, store, provider, identity_of(provider, claims))
        except (LoginRefused, BadRequest) as refusal:
            return _page(provider, str(refusal), 403)
        except StoreError as error:
            return _page(provider, f"Nobody can be let in now: {error}", 503)
        except Exception as error:  # whatever the provider answers: a failed login is no error of ours
            return _failed(provider, error)
        await sessions.begin(request.session, user)
        return RedirectResponse(goes_to, status_code=303)


def _client(provider: Provider) -> Any:
    registry = OAuth()
    return registry.register(
        "gnomon",
        client_id=provider.client_id,
        client_secret=provider.client_secret or None,
        server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": provider.scopes, "code_challenge_method": "S256", "follow_redirects": False},
    )


async def _trusted_metadata(client: Any, provider: Provider) -> None:
    """Read the provider's configuration once, and hold it to what we trust.

    Raises:
        ValueError: it is another issuer's, or leads to where no secret may go
    """
    found = await client.load_server_metadata()
    if str(found.get("issuer", "")).rstrip("/") != provider.issuer.rstrip("/"):
        client.server_metadata.pop("_loaded_at", None)
        raise ValueError(f"The configuration of {provider.issuer} says that it is {found.get('issuer')!r}.")
    for name in _ENDPOINTS:
        if not is_safe_address(str(found.get(name, ""))):
            raise ValueError(f"The {name} of {provider.issuer} is no https address: {found.get(name)!r}.")
    offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
    found["id_token_signing_alg_values_supported"] = [one for one in offered if one in _ALGORITHMS]


async def _checked_claims(client: Any, provider: Provider, request: Request) -> Mapping[str, Any]:
    """Change the code for tokens and return the ID token's claims: signature, times, state and nonce fit.

    Raises:
        Exception: of authlib, its HTTP client or joserfc; something does not fit
    """
    # authlib leaves the audience to whoever names it
    audience = {"essential": True, "value": provider.client_id}
    issuer = {"essential": True, "value": client.server_metadata["issuer"]}
    token = await client.authorize_access_token(
        request, claims_options={"iss": issuer, "aud": audience}, leeway=_LEEWAY_S
    )
    claims: Mapping[str, Any] = token["userinfo"]
    return claims


def _known_here(store: Store, provider: Provider, identity: Identity) -> User:
    """Return the user that the identity is here, made at the first login."""
    role, by_project = identity.roles or _given_here(store, provider, identity)
    return log_in_by_subject(store, identity.username, identity.subject, role, by_project)


def _given_here(store: Store, provider: Provider, identity: Identity) -> tuple[str, Mapping[str, str]]:
    """Return the roles that an admin gave who has been here before, else those of the first login."""
    known = find_user(store, identity.username)
    if known is None or known.subject != identity.subject:
        return provider.default_role, {}
    return known.role, known.project_roles


def _failed(provider: Provider, error: Exception) -> Response:
    _log.warning("A login with %s failed: %s: %s", provider.issuer, type(error).__name__, error)
    said = f"The login with {provider.label} failed. Try again; the server's log says why."
    return _page(provider, said, 401)


def _page(provider: Provider, message: str, status: int) -> Response:
    return HTMLResponse(login_page("/", message, other=provider.label), status_code=status)
