"""Where messages arrive in tests: a webhook and an SMTP server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from gnomon_collector.demo.children import free_port


@dataclass
class Received:
    """What a webhook took in.

    Attributes:
        statuses: what to answer first, one per request; afterwards 200
        before_answer: called with each body before it is answered
    """

    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    before_answer: Callable[[dict[str, Any]], None] = lambda body: None

    @property
    def url(self) -> str:
        """Address of a channel that sends here."""
        return f"webhook+http://127.0.0.1:{self.port}/hook?token=s3cret"


@contextmanager
def webhook() -> Iterator[Received]:
    """A webhook that takes JSON."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.before_answer(body)
            status = received.statuses.pop(0) if received.statuses else 200
            if status == 200:
                received.bodies.append(body)
                received.ids.append(self.headers["Idempotency-Key"])
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """Mails that arrived."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address of a channel that sends here."""
        return f"mailto://127.0.0.1:{self.port}?from=gnomon@example.com&to=oncall@example.com"

    async def handle_DATA(  # noqa: N802  (aiosmtpd's name)
        self, server: object, session: object, envelope: Any
    ) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def smtp_server() -> Iterator[Mailbox]:
    """An SMTP server that keeps what it gets."""
    box = Mailbox(port=free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port, ready_timeout=30)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
