"""Which language a text is in: by script where that tells, by frequent words among Latin ones. No model."""

import re
from typing import Final

_MIN_LETTERS: Final = 12
_MIN_WORDS: Final = 3
_WORD: Final = re.compile(r"[^\W\d_]+")
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`]*`|https?://\S+", re.DOTALL)
_SCRIPTS: Final = tuple(
    (language, re.compile(pattern))
    for language, pattern in (
        ("ja", "[\u3040-\u30ff]"),
        ("ko", "[\uac00-\ud7af]"),
        ("zh", "[\u4e00-\u9fff]"),
        ("he", "[\u0590-\u05ff]"),
        ("ar", "[\u0600-\u06ff]"),
        ("el", "[\u0370-\u03ff]"),
        ("hi", "[\u0900-\u097f]"),
        ("th", "[\u0e00-\u0e7f]"),
        ("cyrillic", "[\u0400-\u04ff]"),
        ("latin", "[A-Za-z\u00c0-\u024f]"),
    )
)
_UKRAINIAN: Final = re.compile("[іїєґІЇЄҐ]")
_FREQUENT: Final = {
    "en": "the of and to in is you that it for on are with this be have not your can was will from",
    "de": "der die und das ist nicht sie ich zu den mit ein eine für auf im sich von auch werden haben wir",
    "fr": "le la les et des est vous une un pour dans que qui pas sur avec ce je nous votre être sont",
    "es": "el la los de y que en es un una por con para no se su las del está más como puede",
    "it": "il di che è la e un una per non sono con si del della le dei come più questo può",
    "pt": "o a os de que e do da em um uma para não com se por mais as dos você está são",
    "nl": "de het een en van is dat niet op te zijn met voor je u die er aan hebben wij kunt",
    "pl": "i w nie na się z do jest to że o jak ale po za od dla są być może pan",
    "tr": "ve bir bu için ile da de çok ne daha gibi olarak var ben siz olan kadar en sonra",
}
_FREQUENT_SETS: Final = {language: frozenset(words.split()) for language, words in _FREQUENT.items()}


def detect(text: str) -> str | None:
    """Return the two-letter code of the language, or None when the text does not say it.

    Code blocks and addresses are left out. Cyrillic is ``ru`` unless letters of Ukrainian occur.
    """
    prose = _CODE.sub(" ", text)
    counts = {script: len(pattern.findall(prose)) for script, pattern in _SCRIPTS}
    if sum(counts.values()) < _MIN_LETTERS and not (counts["zh"] or counts["ja"] or counts["ko"]):
        return None
    if counts["ja"] and counts["ja"] + counts["zh"] > counts["latin"]:
        return "ja"
    script = max(counts, key=lambda name: counts[name] * (4 if name in ("zh", "ko") else 1))
    if script == "cyrillic":
        return "uk" if _UKRAINIAN.search(prose) else "ru"
    return _latin(prose) if script == "latin" else script


def _latin(text: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(text)]
    hits = {language: sum(word in known for word in words) for language, known in _FREQUENT_SETS.items()}
    best, second = sorted(hits, key=lambda language: -hits[language])[:2]
    if len(words) < _MIN_WORDS or hits[best] < 2 or hits[best] == hits[second]:
        return None
    return best
