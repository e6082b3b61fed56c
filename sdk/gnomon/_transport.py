"""HTTP to the collector: one kept-alive connection, bounded in time and in what is read.

Python's own ``http.client`` is used rather than ``requests``: it loads in a tenth of the time, and no
instrumentation or mocking library of the host patches it.
"""

import http.client
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from gnomon._proxy import find_proxy

MAX_RESPONSE_BYTES: Final = 64 * 1024
_REUSE_WITHIN_S: Final = 3.0
"""Servers close idle connections after about 5 s; a fresh one costs less than a failed request."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers that matter, and at most `MAX_RESPONSE_BYTES` of the body."""

    status: int
    retry_after: str | None
    location: str | None
    body: bytes


def is_loopback(host: str) -> bool:
    """Whether a host name stands for this very machine, by its spelling."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Transport(Protocol):
    """How requests leave the process."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Response:
        """Send one request; raises OSError or http.client.HTTPException when there is no answer."""

    def abort(self) -> None:
        """Make a request that is under way in another thread fail now."""


class HttpTransport:
    """`Transport` over HTTP/1.1."""

    def __init__(self, endpoint: str, certificate_file: str | None = None) -> None:
        self._endpoint = endpoint
        self._certificate_file = certificate_file
        parts = urlsplit(endpoint)
        self._proxy = find_proxy(parts.scheme, parts.hostname or "", os.environ)
        self._connection: http.client.HTTPConnection | None = None
        self._used_at_s = 0.0

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Response:
        """Send one request; raises OSError or http.client.HTTPException when there is no answer."""
        if time.monotonic() - self._used_at_s > _REUSE_WITHIN_S:
            self.close()
        reused = self._connection is not None
        try:
            return self._exchange(path, body, headers, timeout_s)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not reused:
                raise
            # The server closed an idle connection just as it was used again.
            return self._exchange(path, body, headers, timeout_s)

    def abort(self) -> None:
        """Make a request that is under way in another thread fail now."""
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Response:
        connection = self._connection = self._connection or self._connect(timeout_s)
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        try:
            connection.request("POST", self._target(path), body, {**headers, **self._extra_headers()})
            reply = connection.getresponse()
            response = Response(
                reply.status,
                reply.headers.get("Retry-After"),
                reply.headers.get("Location"),
                reply.read(MAX_RESPONSE_BYTES),
            )
            reusable = reply.isclosed() and not reply.will_close
        except BaseException:
            self.close()
            raise
        self._used_at_s = time.monotonic()
        if not reusable:
            self.close()
        return response

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self._endpoint)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        at, at_port = (self._proxy.host, self._proxy.port) if self._proxy else (host, port)
        if parts.scheme != "https":
            return http.client.HTTPConnection(at, at_port, timeout=timeout_s)
        connection = http.client.HTTPSConnection(
            at, at_port, timeout=timeout_s, context=_tls_context(self._certificate_file)
        )
        if self._proxy:
            connection.set_tunnel(host, port, dict(self._proxy.headers))
        return connection

    def _target(self, path: str) -> str:
        # Over a proxy, plain HTTP names the whole URL; a tunnel and a direct connection only the path.
        plain_proxy = self._proxy is not None and self._endpoint.startswith("http:")
        return (self._endpoint if plain_proxy else urlsplit(self._endpoint).path) + path

    def _extra_headers(self) -> Mapping[str, str]:
        plain_proxy = self._proxy is not None and self._endpoint.startswith("http:")
        return self._proxy.headers if self._proxy and plain_proxy else {}


class SplitTransport:
    """Sends spans one way and feedback another: gRPC has no method for it."""

    def __init__(self, traces_path: str, traces: Transport, others: Transport) -> None:
        self._traces_path = traces_path
        self._traces = traces
        self._others = others

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Response:
        """Send one request by its path."""
        chosen = self._traces if path == self._traces_path else self._others
        return chosen.post(path, body, headers, timeout_s)

    def abort(self) -> None:
        """Make requests that are under way in another thread fail now."""
        self._traces.abort()
        self._others.abort()


def _tls_context(certificate_file: str | None) -> ssl.SSLContext:
    if certificate_file or _has_certificate_store():
        return ssl.create_default_context(cafile=certificate_file)
    # Slim container images have no certificate store; certifi comes with the OTLP exporter.
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _has_certificate_store() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or (paths.capath is not None and any(Path(paths.capath).iterdir()))
