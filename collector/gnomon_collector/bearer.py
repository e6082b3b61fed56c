"""The key a request shows, wherever it is shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

KEY_PREFIX = "gnm_"
"""What every key begins with."""


def presented_key(headers: Mapping[str, str]) -> str:
    """Return the key that a request shows, "" for none.

    As a bearer token, in ``x-gnomon-api-key``, or as either part of Basic authentication: exporters made for
    other backends (Langfuse's) can send no other.

    Args:
        headers: of the request, looked up without regard to case.
    """
    kind, _, shown = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and shown.strip():
        return shown.strip()
    if kind.lower() == "basic":
        return _key_of_basic(shown.strip())
    return headers.get("x-gnomon-api-key", "").strip()


def _key_of_basic(shown: str) -> str:
    """Return the password, or the user name where only that looks like a key (RFC 7617)."""
    try:
        user, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return user if user.startswith(KEY_PREFIX) and not password.startswith(KEY_PREFIX) else password
