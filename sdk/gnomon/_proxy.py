"""Which HTTP proxy stands between this process and the collector, by the usual environment variables."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """Address of a proxy, and the header that lets us through."""

    host: str
    port: int
    headers: Mapping[str, str]


def find_proxy(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy by ``<scheme>_proxy``, ``all_proxy`` and ``no_proxy``; None without one."""
    named = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy")}
    url = named.get(f"{scheme}_proxy") or named.get("all_proxy")
    if not url or host in _LOOPBACK or _is_exempt(host, named.get("no_proxy", "")):
        return None
    parts = urlsplit(url if "//" in url else f"//{url}")
    if not parts.hostname or parts.scheme not in ("", "http"):
        return None
    return Proxy(parts.hostname, parts.port or 3128, _authorization(parts.username, parts.password))


def _is_exempt(host: str, no_proxy: str) -> bool:
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",") if name.strip()]
    return "*" in names or any(host == name or host.endswith(f".{name}") for name in names)


def _authorization(user: str | None, password: str | None) -> dict[str, str]:
    if not user:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
