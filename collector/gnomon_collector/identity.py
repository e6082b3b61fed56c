"""Who an identity provider says somebody is, and which roles that gives here. Pure.

The claims are those of an ID token that was checked already
(https://openid.net/specs/openid-connect-core-1_0.html#IDToken).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from gnomon_collector.errors import ConfigError, GnomonError
from gnomon_collector.settings import Settings
from gnomon_collector.store.access import ALL_PROJECTS
from gnomon_collector.store.users import NO_ROLE, ROLES

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class LoginRefused(GnomonError):  # noqa: N818 (named for the condition, as the collector's errors are)
    """The identity provider vouches for somebody who may not come in. The message says why."""


@dataclass(frozen=True)
class RoleRule:
    """Who has `value` in the role claim has `role` on `project` (`ALL_PROJECTS` for all)."""

    value: str
    role: str
    project: str


@dataclass(frozen=True)
class Provider:
    """An identity provider and what its word is worth here.

    Attributes:
        issuer: as in its tokens; its configuration is read from below it
        scopes: asked for, separated by spaces
        label: what the login page calls it
        username_claim: the claim that names people
        email_domains: those let in; empty for all
        role_claim: claim with the person's groups or roles, dots lead inside
        role_rules: what these are worth; empty where roles are given in Gnomon
        default_role: on all projects, of who no rule gives a role; `NO_ROLE` lets nobody in by rules,
            and with roles given in Gnomon waits for an admin
        public_url: of the dashboard, "" for the one that the browser asked
    """

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    label: str
    username_claim: str
    email_domains: tuple[str, ...]
    role_claim: str
    role_rules: tuple[RoleRule, ...]
    default_role: str
    public_url: str


@dataclass(frozen=True)
class Identity:
    """Somebody that the provider vouches for.

    Attributes:
        subject: unique and lasting: issuer and ``sub``
        roles: (on all projects, by project), or None where the roles given in Gnomon stay
    """

    username: str
    subject: str
    roles: tuple[str, Mapping[str, str]] | None


def provider_of(settings: Settings) -> Provider | None:
    """Return the provider that is set up; None for password logins alone.

    Raises:
        ConfigError: a setting that goes with it is missing or makes no sense
    """
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise ConfigError("GNOMON_OIDC_ISSUER is set, GNOMON_OIDC_CLIENT_ID is not: set both.")
    if not is_safe_address(settings.oidc_issuer):
        raise ConfigError("GNOMON_OIDC_ISSUER must begin with https:// (http:// for this machine only).")
    rules = parse_role_rules(settings.oidc_roles)
    if rules and not settings.oidc_role_claim:
        raise ConfigError(
            "GNOMON_OIDC_ROLES needs GNOMON_OIDC_ROLE_CLAIM: the claim that its values stand in."
        )
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.oidc_scopes,
        settings.oidc_label,
        settings.oidc_username_claim,
        tuple(_listed(settings.oidc_email_domains.lower())),
        settings.oidc_role_claim,
        rules,
        NO_ROLE if settings.oidc_default_role == "none" else settings.oidc_default_role,
        settings.public_url.rstrip("/"),
    )


def parse_role_rules(text: str) -> tuple[RoleRule, ...]:
    """Return the rules of ``value=role`` or ``value=role@project``, separated by commas.

    Raises:
        ConfigError: one makes no sense
    """
    return tuple(_rule(one) for one in _listed(text))


def identity_of(provider: Provider, claims: Mapping[str, Any]) -> Identity:
    """Return who the claims are about.

    Raises:
        LoginRefused: nobody that may come in
    """
    username = claims.get(provider.username_claim)
    if not isinstance(username, str) or not username.strip():
        raise LoginRefused(f"The identity provider did not say the claim {provider.username_claim!r}.")
    _check_email(provider, claims)
    roles = _roles(provider, claims)
    if provider.role_rules and not roles[0] and not roles[1]:
        raise LoginRefused(f"{username} has none of the groups or roles that may come in here.")
    subject = f"{provider.issuer}|{claims['sub']}"
    return Identity(username.strip(), subject, roles if provider.role_rules else None)


def is_safe_address(url: str) -> bool:
    """Return whether secrets may go to an address: over TLS, or to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _check_email(provider: Provider, claims: Mapping[str, Any]) -> None:
    verified = claims.get("email_verified")
    if verified is False or verified == "false":
        raise LoginRefused("The identity provider has not verified the e-mail address.")
    if not provider.email_domains:
        return
    domain = str(claims.get("email", "")).lower().rpartition("@")[2]
    if domain not in provider.email_domains or verified not in (True, "true"):
        raise LoginRefused("Only verified e-mail addresses of certain domains may come in here.")


def _roles(provider: Provider, claims: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    held = set(_values(claims, provider.role_claim))
    best: dict[str, str] = {}
    for rule in provider.role_rules:
        if rule.value in held:
            best[rule.project] = max(best.get(rule.project, rule.role), rule.role, key=ROLES.index)
    everywhere = best.pop(ALL_PROJECTS, provider.default_role)
    return everywhere, best


def _values(claims: Mapping[str, Any], path: str) -> Sequence[str]:
    """Return the texts of a claim; of ``realm_access.roles`` those inside, unless a claim has that name."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return found.split()
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _rule(text: str) -> RoleRule:
    value, equals, grant = text.rpartition("=")
    role, _, project = grant.partition("@")
    if not equals or not value.strip() or role.strip() not in ROLES:
        raise ConfigError(
            f"GNOMON_OIDC_ROLES: {text!r} makes no sense. Say VALUE=ROLE or VALUE=ROLE@PROJECT, roles are"
            f" {', '.join(ROLES)}."
        )
    return RoleRule(value.strip(), role.strip(), project.strip() or ALL_PROJECTS)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
