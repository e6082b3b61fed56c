"""A small OpenID Connect provider on loopback, of authlib's server side: signs real tokens, and wrong ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import grants as oidc_grants
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server

CLIENT_ID: Final = "gnomon"
CLIENT_SECRET: Final = "the client's secret, long enough for HS256"


@dataclass
class Client:
    """The one client, as authlib asks about it."""

    redirect_uri: str = ""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class IdentityProvider:
    """What it says, and what it does wrong.

    Attributes:
        claims: of who logs in; whoever comes is logged in at once
        wrong: claims that are put into the ID token in place of the right ones
        signs_with: ``right``, or ``other key``, ``client secret``, ``none``
        seen: query strings of the authorization requests
    """

    issuer: str = ""
    client: Client = field(default_factory=Client)
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "4711", "email": "ada@example.com"})
    wrong: dict[str, Any] = field(default_factory=dict)
    signs_with: str = "right"
    announces: dict[str, Any] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    asked_tokens: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    other_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))

    def id_token(self, nonce: str) -> str:
        """Return the signed claims."""
        now = int(time.time())
        standard = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 600, "nonce": nonce}
        claims = {**standard, "email_verified": True, **self.claims, **self.wrong}
        if self.signs_with == "client secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
        if self.signs_with == "none":
            return jwt.encode({"alg": "none"}, claims, OctKey.import_key("x"), algorithms=["none"])
        key = self.key if self.signs_with == "right" else self.other_key
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)


@dataclass
class _Code:
    """An authorization code."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    auth_time: int

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@contextmanager
def running() -> Iterator[IdentityProvider]:
    """Run a provider. Say in its `client` where that comes back to."""
    provider = IdentityProvider()
    server = make_server("127.0.0.1", 0, _app(provider), threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    thread.join(10)


def _app(provider: IdentityProvider) -> Flask:
    app = Flask("identity provider")
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: provider.client if client_id == CLIENT_ID else None,
        save_token=lambda token, request: None,
    )
    server.register_grant(_code_grant(provider), [_openid(provider), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Response:
        return jsonify(
            {
                "issuer": provider.issuer,
                "authorization_endpoint": f"{provider.issuer}/authorize",
                "token_endpoint": f"{provider.issuer}/token",
                "jwks_uri": f"{provider.issuer}/jwks",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **provider.announces,
            }
        )

    @app.get("/jwks")
    def jwks() -> Response:
        return jsonify({"keys": [provider.key.as_dict(private=False)]})

    @app.get("/authorize")
    def authorize() -> Any:
        provider.seen.append(request.args.to_dict())
        return server.create_authorization_response(grant_user="4711")

    @app.post("/token")
    def token() -> Any:
        provider.asked_tokens.append(request.form.to_dict())
        return server.create_token_response()

    return app


def _code_grant(provider: IdentityProvider) -> type:
    class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        def save_authorization_code(self, code: str, request: Any) -> None:
            asked = request.payload.data
            names = ("nonce", "code_challenge", "code_challenge_method")
            nonce, challenge, method = (asked.get(name, "") for name in names)
            uri, scope = request.payload.redirect_uri, request.payload.scope
            provider.codes[code] = _Code(code, uri, scope, nonce, challenge, method, int(time.time()))

        def query_authorization_code(self, code: str, client: Any) -> Any:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Any) -> None:
            provider.codes.pop(authorization_code.code, None)

        def authenticate_user(self, authorization_code: Any) -> str:
            return "4711"

    return CodeGrant


def _openid(provider: IdentityProvider) -> Any:
    class OpenID(oidc_grants.OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return False

        def encode_id_token(self, token: Any, request: Any) -> str:
            return provider.id_token(request.authorization_code.get_nonce())

    return OpenID(require_nonce=True)
