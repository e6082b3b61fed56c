"""HTML attributes whose names are no Python names."""

from typing import Any


def aria(**attributes: str) -> dict[str, Any]:
    """Return ``aria-…`` attributes: ``html.Nav(..., **aria(label="Pages"))``."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def data(**attributes: str) -> dict[str, Any]:
    """Return ``data-…`` attributes."""
    return {f"data-{name}": value for name, value in attributes.items()}
