"""Sends one message, as a process of its own: ``python -m gnomon_collector.alerts.sender``.

The message comes on standard input, secrets and all, so that none is on a command line or a disk. What came
of it goes to a file, which outlives the server that asked for it: after a crash in between, the file says
whether the message was sent. And a process that does nothing else can be kept from connecting to the own
network.
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import os
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from gnomon_collector.alerts.target_guard import (
    WEBHOOK_PREFIX,
    TargetRefused,
    check_resolved,
    check_webhook,
    guard_connections,
)

Outcome: TypeAlias = Literal["started", "sent", "failed"]
_TIMEOUT_S = 15.0
_STATUS_CODE = re.compile(r"error[= ]+(\d{3})")


@dataclass(frozen=True)
class Letter:
    """A message on its way.

    Attributes:
        url: address of the channel, with its secrets
        payload: for webhooks
        chart: PNG in base64, "" for none
        outcome_file: where to write what came of it
    """

    delivery_id: str
    url: str
    title: str
    text: str
    html: str
    payload: dict[str, Any]
    chart: str
    outcome_file: str
    allow_private: bool
    allow_http: bool
    is_bad_news: bool


@dataclass(frozen=True)
class Result:
    """What came of sending a message. `error` holds no part of the channel's address."""

    outcome: Outcome
    error: str = ""


def main() -> int:
    """Send the message on standard input and return the exit code: 0 when it was sent."""
    said = sys.stdin.read()
    try:
        letter = Letter(**json.loads(said))
    except (ValueError, TypeError):
        return 2  # whoever wrote it died while writing: nothing was sent
    with Path(f"{letter.outcome_file}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 3  # another process sends this very message
        already = read_outcome(Path(letter.outcome_file))
        if already is not None and already.outcome == "sent":
            return 0
        write_outcome(Path(letter.outcome_file), Result("started"))
        result = send(letter)
        write_outcome(Path(letter.outcome_file), result)
    return 0 if result.outcome == "sent" else 1


def send(letter: Letter) -> Result:
    """Send a message from this process."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    if not letter.allow_private:
        guard_connections()
    try:
        if letter.url.startswith(WEBHOOK_PREFIX):
            return _post(letter)
        return _notify(letter)
    except TargetRefused as error:
        return Result("failed", str(error))
    except Exception as error:
        # what a library says of its failure may quote the address
        return Result("failed", f"{type(error).__name__} while sending")


def _post(letter: Letter) -> Result:
    import httpx

    url = check_webhook(letter.url, allow_http=letter.allow_http)
    parts = urlsplit(url)
    if not letter.allow_private:
        check_resolved(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    headers = {"Idempotency-Key": letter.delivery_id, "User-Agent": "gnomon-alerts"}
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            answer = client.post(url, json=letter.payload, headers=headers)
    except httpx.HTTPError as error:
        return Result("failed", f"{type(error).__name__}: no answer from the webhook")
    if answer.is_success:
        return Result("sent")
    hint = "; redirects are not followed" if answer.is_redirect else ""
    return Result("failed", f"the webhook answered with HTTP {answer.status_code}{hint}")


def _notify(letter: Letter) -> Result:
    import apprise

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    service = apprise.Apprise.instantiate(letter.url)
    if service is None:
        return Result("failed", "apprise knows no channel of this form: see docs/alerts.md for addresses")
    if not letter.allow_http and not _is_encrypted(service, letter.url):
        return Result(
            "failed", "This channel is not encrypted: use its secure form, or set GNOMON_ALERT_ALLOW_HTTP."
        )
    kind = apprise.NotifyType.FAILURE if letter.is_bad_news else apprise.NotifyType.SUCCESS
    wants_html = apprise.NotifyFormat.HTML in _formats(service.notify_format)
    body = letter.html if wants_html else letter.text
    body_format = apprise.NotifyFormat.HTML if wants_html else apprise.NotifyFormat.TEXT
    with tempfile.TemporaryDirectory() as folder:
        attach = _attachment(letter, service, Path(folder))
        one = apprise.Apprise()
        one.add(service)
        is_sent = one.notify(
            body=body, title=letter.title, notify_type=kind, body_format=body_format, attach=attach
        )
    return Result("sent") if is_sent else Result("failed", heard.summary())


def _formats(value: object) -> tuple[object, ...]:
    """The formats that a service takes: apprise says one, or several."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _attachment(letter: Letter, service: Any, folder: Path) -> str | None:
    if not letter.chart or not getattr(service, "attachment_support", False):
        return None
    path = folder / "alert.png"
    path.write_bytes(base64.b64decode(letter.chart))
    return str(path)


def _is_encrypted(service: Any, url: str) -> bool:
    scheme = url.partition("://")[0].lower()
    return scheme not in _names(service.protocol) or scheme in _names(service.secure_protocol)


def _names(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, tuple | list) else ()


class _Heard(logging.Handler):
    """Takes from apprise's log what is safe to tell: the HTTP status."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._codes += _STATUS_CODE.findall(record.getMessage())

    def summary(self) -> str:
        if self._codes:
            return f"the channel answered with HTTP {self._codes[-1]}"
        return "the channel could not be reached, or refused the message"


def write_outcome(path: Path, result: Result) -> None:
    """Write what came of a message, for good."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(result), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_outcome(path: Path) -> Result | None:
    """Return what came of a message; None when nobody began to send it."""
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


if __name__ == "__main__":
    sys.exit(main())
