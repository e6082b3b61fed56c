"""The key a request shows, wherever it is shown."""

from __future__ import annotations

from collections.abc import Mapping


def presented_key(headers: Mapping[str, str]) -> str:
    """Return the key that a request shows, "" for none.

    Args:
        headers: of the request, looked up without regard to case.
    """
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-gnomon-api-key", "").strip()
