"""From the cells of a result to Python's types. Pure."""

from datetime import UTC, datetime


def as_time(value: object) -> datetime:
    """Return a DateTime cell as an aware datetime in UTC.

    Raises:
        TypeError: the cell is no date and time.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"expected a DateTime cell, got {type(value).__name__}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_int(value: object) -> int:
    """Return a numeric cell as a whole number, NULL as 0."""
    return int(value) if isinstance(value, (int, float)) else 0


def as_float(value: object) -> float:
    """Return a numeric cell as a float, NULL as 0."""
    return float(value) if isinstance(value, (int, float)) else 0.0


def optional_int(value: object) -> int | None:
    """Return a numeric cell as a whole number, NULL as None."""
    return int(value) if isinstance(value, (int, float)) else None


def optional_float(value: object) -> float | None:
    """Return a numeric cell as a float, NULL as None."""
    return float(value) if isinstance(value, (int, float)) else None


def as_map(value: object) -> dict[str, str]:
    """Return a Map(String, String) cell as a dictionary."""
    return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}


def as_numbers(value: object) -> dict[str, float]:
    """Return a Map(String, Float64) cell as a dictionary."""
    return {str(key): float(item) for key, item in value.items()} if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return an Array cell as a list."""
    return list(value) if isinstance(value, (list, tuple)) else []
