"""Asks the collector who may spend: ``GET /v1/allow?user=&company=``."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from gnomon._limits import Allowance, Ask, Subject
from gnomon._settings import Settings
from gnomon._transport import MAX_RESPONSE_BYTES, HttpTransport

PATH: Final = "/v1/allow"
_PARAMETERS: Final = ("user", "company", "model", "prompt")
"""Of the query, in the order of a `Subject`."""
_TIMEOUT_S: Final = 5.0
_MAX_WORDS: Final = 1_000


class NoAnswerError(OSError):
    """The collector answered with something else than an allowance."""


class _Client(HttpTransport):
    """One kept-alive connection to the collector, for questions."""

    def ask(self, query: str, headers: Mapping[str, str], timeout_s: float) -> tuple[int, bytes]:
        """Send a question; returns status and body. A connection that went stale is tried anew once."""
        for is_last in (False, True):
            connection = self._connection = self._connection or self._connect(timeout_s)
            try:
                connection.request(
                    "GET", self._target(f"{PATH}?{query}"), headers={**headers, **self._extra_headers()}
                )
                reply = connection.getresponse()
                body = reply.read(MAX_RESPONSE_BYTES)
                if reply.will_close or not reply.isclosed():
                    self.close()
                return reply.status, body
            except (ConnectionError, http.client.HTTPException):
                self.close()
                if is_last:
                    raise
            except BaseException:
                self.close()
                raise
        raise NoAnswerError  # not reached


def asking(settings: Settings) -> Ask:
    """Return what asks the collector that the settings name."""
    # Where feedback goes: with gRPC, spans go elsewhere.
    client = _Client(settings.feedback_endpoint, settings.certificate_file)
    headers = {"Accept": "application/json", **settings.headers}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    timeout_s = min(settings.request_timeout_s, _TIMEOUT_S)

    service = settings.service_name or ""

    def ask(subject: Subject) -> Allowance | None:
        named = {**dict(zip(_PARAMETERS, subject, strict=True)), "service": service}
        query = urlencode({name: value for name, value in named.items() if value})
        return read(*client.ask(query, headers, timeout_s))

    return ask


def read(status: int, body: bytes) -> Allowance | None:
    """Read the collector's answer; None when it has no budgets.

    Raises:
        NoAnswerError: it is no answer.
    """
    if status == 404:
        return None
    said: Any = json.loads(body) if status == 200 else None
    if not isinstance(said, dict) or not isinstance(said.get("allowed"), bool):
        raise NoAnswerError(f"status {status}")
    after = said.get("retry_after_s")
    return Allowance(
        said["allowed"],
        str(said.get("reason") or "")[:_MAX_WORDS],
        float(after) if isinstance(after, int | float) else None,
        str(said.get("budget") or "")[:_MAX_WORDS],
        known=True,
    )
