"""Small pieces of SQL text."""

from collections.abc import Iterable, Mapping


def quoted(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def strings(texts: Iterable[str]) -> str:
    """Return texts as SQL strings with commas between."""
    return ", ".join(map(quoted, texts))


def mapped(expression: str, table: Mapping[str, str], otherwise: str) -> str:
    """Return SQL that looks an expression up in a table; `otherwise` is SQL."""
    return f"transform({expression}, [{strings(table)}], [{strings(table.values())}], {otherwise})"


def one_of(expression: str, texts: Iterable[str]) -> str:
    """Return SQL for a text being one of some; false where there are none."""
    listed = strings(texts)
    return f"{expression} IN ({listed})" if listed else "false"
