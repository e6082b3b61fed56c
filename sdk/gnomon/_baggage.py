"""A session on its way to another service: OpenTelemetry baggage, and the headers that carry it.

Opt-in (`baggage` setting): baggage goes along with *every* request whose headers a propagator fills, to
third parties too, and it holds user ids. https://www.w3.org/TR/baggage/
"""

import json
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from opentelemetry import baggage, propagate
from opentelemetry import context as otel_context

from gnomon import _values
from gnomon._runtime import runtime
from gnomon._scope import Scope
from gnomon_schemas import attributes as names

_KEYS: Final = (names.USER_ID, names.COMPANY_ID, names.CONVERSATION_ID)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_MAX_CHARS: Final = 4_096
"""Of all entries together: receivers may drop baggage beyond 8,192 bytes."""


def with_baggage(
    attributes: Mapping[str, _values.Attribute], context: otel_context.Context
) -> otel_context.Context:
    """Return the context with a session's attributes in its baggage, as far as they fit."""
    room = _MAX_CHARS
    for key, value in attributes.items():
        text = _entry(key, value)
        if text is None or len(key) + len(text) > room:
            continue
        room -= len(key) + len(text)
        context = baggage.set_baggage(key, text, context)
    return context


def from_baggage(context: otel_context.Context | None) -> dict[str, _values.Attribute]:
    """Return the attributes of the session another service put into the baggage."""
    found: dict[str, _values.Attribute] = {}
    for key, value in baggage.get_all(context).items():
        text = _values.clip(_values.safe_str(value), _MAX_CHARS)
        if key == names.TAGS:
            found[key] = _tags(text)
        elif key in _KEYS or key.startswith(names.METADATA_PREFIX):
            found[key] = text
    return found


def headers() -> dict[str, str]:
    """Return the headers that make another service continue this trace: ``traceparent``, and baggage if on.

    For HTTP clients that no instrumentation fills in: ``requests.get(url, headers=gnomon.headers())``.
    """
    carrier: dict[str, str] = {}
    with runtime.guard.harmless("headers"):
        propagate.inject(carrier)
    return carrier


class Continued:
    """Context manager made by `continued`."""

    def __init__(self, carrier: Mapping[str, Any]) -> None:
        self._carrier = carrier
        self._scopes: list[Scope] = []

    def __enter__(self) -> "Continued":
        with runtime.guard.harmless("continuing a trace"):
            carrier = {str(key).lower(): value for key, value in self._carrier.items()}
            self._scopes.append(Scope(propagate.extract(carrier)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with runtime.guard.harmless("continuing a trace"):
            if self._scopes:
                self._scopes.pop().leave()


def continued(headers: Mapping[str, Any]) -> Continued:
    """Continue the trace of the service that called: spans inside the ``with`` block become part of it.

    For servers that no instrumentation covers: ``with gnomon.continued(request.headers):``.

    Args:
        headers: of the request, names in any case.
    """
    return Continued(headers)


def _entry(key: str, value: _values.Attribute) -> str | None:
    if key == names.TAGS:
        return json.dumps(value, ensure_ascii=False)
    if key in _KEYS or (key.startswith(names.METADATA_PREFIX) and _TOKEN.fullmatch(key)):
        return _values.safe_str(value)
    return None


def _tags(text: str) -> list[str]:
    try:
        tags = json.loads(text)
    except ValueError:
        return []
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
