"""The language of a text, told in SQL and cheaply: by its script."""

from typing import Final

from gnomon_schemas.sqltext import quoted

SCRIPTS: Final = {
    r"[\x{3040}-\x{30FF}]": "ja",
    r"[\x{AC00}-\x{D7AF}]": "ko",
    r"[\x{4E00}-\x{9FFF}]": "zh",
    "[іїєґІЇЄҐ]": "uk",
    r"[\x{0400}-\x{04FF}]": "ru",
    r"[\x{0590}-\x{05FF}]": "he",
    r"[\x{0600}-\x{06FF}]": "ar",
    r"[\x{0370}-\x{03FF}]": "el",
    r"[\x{0900}-\x{097F}]": "hi",
}
"""Scripts that tell a language, the first that occurs wins."""


def language(text: str) -> str:
    """Return SQL for the language of a text, two letters; "" for Latin script."""
    cases = ", ".join(f"match({text}, {quoted(script)}), {quoted(code)}" for script, code in SCRIPTS.items())
    return f"if(isValidASCII({text}), '', multiIf({cases}, ''))"
