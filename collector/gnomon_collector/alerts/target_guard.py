"""Where messages may go: not to addresses of the own network, unless a setting allows it.

A channel's address comes from whoever may write rules. Without a guard it would let them reach what only this
machine can reach: metadata services, databases, the neighbours. Names are resolved by whichever library
connects, and it is the address it connects to that is checked: a name that resolves to something else the
second time, or a redirect, gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from gnomon_collector.errors import GnomonError

WEBHOOK_PREFIX = "webhook+"


class TargetRefused(GnomonError):  # noqa: N818
    """A message may not go there. The message names the setting, never the whole address."""


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


def check_webhook(url: str, *, allow_http: bool) -> str:
    """Return the plain URL of a ``webhook+https://…`` channel.

    Raises:
        TargetRefused: it is not https, or has no host
    """
    plain = url.removeprefix(WEBHOOK_PREFIX)
    parts = urlsplit(plain)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise TargetRefused("A webhook's address is webhook+https://host/path.")
    if parts.scheme == "http" and not allow_http:
        raise TargetRefused(
            "A webhook over plain http could be read on the way: use https, or set GNOMON_ALERT_ALLOW_HTTP."
        )
    return plain


def check_resolved(host: str, port: int) -> None:
    """Make sure that every address of a host is public, before anything is sent.

    Raises:
        TargetRefused: one is not, or there is none
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TargetRefused("The channel's host has no address.") from None
    if not all(is_public(str(one[4][0])) for one in found):
        raise TargetRefused(_REFUSED)


def guard_connections() -> None:
    """Refuse every connection of this process to an address that is not public, for good.

    An audit hook sees each connect of the socket module, whichever library makes it. It cannot be taken away
    again, so this is for a process that only sends messages.
    """
    sys.addaudithook(_hook(_refuse))


def _hook(refuse: Callable[[object], None]) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            refuse(arguments[1])
        elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"):
            raise TargetRefused("Sending a message may start no other program.")

    return hook


def _refuse(address: object) -> None:
    if address is None:  # a sendmsg on a connected socket
        return
    host = address[0] if isinstance(address, tuple) else None
    # resolvers work in C, which no hook sees; a name here could resolve to anything
    if not isinstance(host, str) or not is_public(host):
        raise TargetRefused(_REFUSED)


_REFUSED = (
    "The channel's host is in a private network: messages go there only with GNOMON_ALERT_ALLOW_PRIVATE=true."
)
