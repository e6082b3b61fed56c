"""The interface in another language: words of the pages, exchanged in what the server answers.

Only words that the dictionary (words/<code>.json) has are exchanged, and only where components show text:
what services sent (names, prompts, errors) stays as it is, unless it is such a word to the letter. In a word
``{}`` stands for a number with its unit, ``{date}`` for a date and ``{name}`` for any text; all are put into
the translation in the same order. ``{name}`` is for phrases that nobody but us writes. A translation chooses
among the forms of a word by the number before it, or else the one behind it: ``{} [вызов|вызова|вызовов]``.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from http.cookies import SimpleCookie
from importlib.resources import files
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LANGUAGES: Final = {"en": "English", "ru": "Русский"}
LANGUAGE_COOKIE: Final = "gnomon_language"
_PAGES: Final = frozenset({"/_dash-layout", "/_dash-update-component"})
_ASKED_BY_SCRIPTS: Final = "/api/"
TEXTS: Final = frozenset(
    {
        "children",
        "label",
        "title",
        "placeholder",
        "name",
        "aria-label",
        "copiedChildren",
        "headerName",
        "text",
    }
    | {"description", "hovertemplate"}
)
SAID: Final = frozenset({"message", "error", "title", "description", "meaning", "shown"})
"""What scripts are answered in words."""
WORDS_OF_FIGURES: Final = frozenset({"x", "y", "customdata", "ticktext", "tickvals", "text"})
"""Lists whose items are exchanged where they are words to the letter: they may hold thousands of others."""
_LOCALE: Final = "locale"
"""What a chart is told the language of its own words and dates by (assets/charts.js)."""
_DATES: Final[Mapping[str, str]] = {
    "Mon": "пн", "Tue": "вт", "Wed": "ср", "Thu": "чт", "Fri": "пт", "Sat": "сб", "Sun": "вс",
    "Jan": "янв", "Feb": "фев", "Mar": "мар", "Apr": "апр", "May": "мая", "Jun": "июн",
    "Jul": "июл", "Aug": "авг", "Sep": "сен", "Oct": "окт", "Nov": "ноя", "Dec": "дек",
}  # fmt: skip
_UNITS: Final[Mapping[str, str]] = {"ms": "мс", "s": "с", "min": "мин", "h": "ч", "d": "д"}
_UNIT: Final = re.compile(r"(?<=\d )(?:ms|s|min|h|d)(?![A-Za-z])")
_IS_FIGURE: Final = re.compile(rf"(?:[^A-Za-zА-яЁё]|{_UNIT.pattern}|(?<=\d)[kMBT](?![A-Za-z]))+")
"""A text of numbers and units alone, such as ``1 h 12 min`` or ``584 ms · 97.7%``."""
_CLOCK: Final = r"\d\d:\d\d(?::\d\d)?"
_DATE: Final = (
    rf"((?:[A-Z][a-z][a-z] )?\d\d [A-Z][a-z][a-z](?: \d{{4}})?(?:,? {_CLOCK})?|[A-Z][a-z][a-z] {_CLOCK})"
)
_IN_DATE: Final = re.compile(r"[A-Z][a-z][a-z]")
_IS_DATE: Final = re.compile(_DATE)
_FORMS: Final = re.compile(r"\[([^\]|]*)\|([^\]|]*)\|([^\]|]*)\]")
_GAP: Final = re.compile(r"\{(?:name|date)?\}")
_NUMBER: Final = r"([^A-Za-z]{0,12}\d[\d.,%×]*[kMBT]?(?: (?:%|ms|s|min|h|d)(?: \d+ (?:s|min|h))?)?)"
_NAME: Final = "(.{1,200}?)"
_GAPS: Final[Mapping[str, str]] = {"{}": _NUMBER, "{name}": _NAME, "{date}": _DATE}
_LONGEST_SENTENCE: Final = 300
LISTS: Final = frozenset({"children", "data", "columnDefs"})


@cache
def words(language: str) -> Mapping[str, str]:
    """Return the dictionary of a language; empty for English and for one that there is none of."""
    if language not in LANGUAGES or language == "en":
        return {}
    text = (files("gnomon_dashboard") / "words" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


@cache
def sentences(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what the words with gaps look like, and their translations; those that say most first."""
    with_gaps = sorted(filter(gaps, words(language)), key=lambda word: -len(_GAP.sub("", word)))
    return tuple((_pattern(word), _GAP.sub("{}", words(language)[word])) for word in with_gaps)


def gaps(word: str) -> list[str]:
    """Return the gaps of a word in their order."""
    return _GAP.findall(word)


def _pattern(word: str) -> re.Pattern[str]:
    fixed = [re.escape(part) for part in _GAP.split(word)]
    between = [_GAPS[gap] for gap in gaps(word)]
    return re.compile("".join(part for pair in zip(fixed, [*between, ""], strict=True) for part in pair))


def exchanged(text: str, language: str) -> str:
    """Return a text in a language; as it is where the dictionary has no word for it."""
    dictionary = words(language)
    found = dictionary.get(text)
    if found is not None or len(text) > _LONGEST_SENTENCE or not dictionary:
        return found or text
    if _IS_DATE.fullmatch(text):
        return _dated(text)
    if _IS_FIGURE.fullmatch(text):
        return _measured(text)
    for pattern, translation in sentences(language):
        match = pattern.fullmatch(text)
        if match:
            return filled(translation, [exchanged(part, language) for part in match.groups()])
    return text


def _dated(text: str) -> str:
    """A date as pages write it, ``Fri 20 Nov, 12:00``, with its day and month in Russian."""
    return _IN_DATE.sub(lambda found: _DATES.get(found[0], found[0]), text)


def _measured(figure: str) -> str:
    return _UNIT.sub(lambda found: _UNITS[found[0]], figure)


def filled(translation: str, parts: Sequence[str]) -> str:
    """Return a translation with texts in its gaps, and the forms of words that their numbers ask for."""
    pieces = translation.split("{}")
    said = []
    for place, piece in enumerate(pieces):
        number = parts[place - 1] if place else parts[0]
        said.append(_FORMS.sub(lambda forms, of=number: forms[1 + plural(of)], piece))  # type: ignore[misc]
    return "".join(piece + part for piece, part in zip(said, [*parts, ""], strict=True))


def plural(number: str) -> int:
    """Return which form of a Russian word a number asks for: 0 as for one, 1 as for two, 2 as for five.

    Source: Unicode CLDR, plural rules of Russian, cardinal; fractions go as two, as in «2.5 раза».
    """
    digits = re.sub(r"[^\d.kMBT]", "", number)
    if not digits or digits[-1] in "kMBT":
        return 2
    if "." in digits:
        return 1
    last_two = int(digits) % 100
    if last_two % 10 == 1 and last_two != 11:
        return 0
    return 1 if last_two % 10 in (2, 3, 4) and last_two not in (12, 13, 14) else 2


def translated(value: Any, language: str, key: str = "", texts: Collection[str] = TEXTS) -> Any:
    """Return a JSON value with the texts of components exchanged.

    Args:
        texts: names of what holds a text
    """
    if isinstance(value, str):
        if key == _LOCALE:
            return language
        if key in texts:
            return exchanged(value, language)
        return _word_of_figure(value, language) if key in WORDS_OF_FIGURES else value
    if isinstance(value, list):
        inner = key if key in LISTS or key in WORDS_OF_FIGURES else ""
        return [translated(item, language, inner, texts) for item in value]
    if isinstance(value, dict):
        return {name: translated(item, language, name, texts) for name, item in value.items()}
    return value


def _word_of_figure(text: str, language: str) -> str:
    dictionary = words(language)
    is_figure = bool(dictionary) and _IS_FIGURE.fullmatch(text)
    return dictionary.get(text) or (_measured(text) if is_figure else text)


def language_of(headers: Mapping[str, str]) -> str:
    """Return the language that a viewer chose, English where none or an unknown one."""
    found = SimpleCookie(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    return found.value if found is not None and found.value in LANGUAGES else "en"


class Translation:
    """ASGI middleware that translates the layout and the answers of callbacks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        texts = _texts_of(scope["path"]) if scope["type"] == "http" else frozenset()
        language = language_of(Headers(scope=scope)) if texts else "en"
        await self.app(scope, receive, _Exchange(send, language, texts) if words(language) else send)


def _texts_of(path: str) -> frozenset[str]:
    """Names of what holds a text in the answers of a path; none where they have none."""
    if path in _PAGES:
        return TEXTS
    return SAID if path.startswith(_ASKED_BY_SCRIPTS) else frozenset()


class _Exchange:
    """Holds JSON back until it is whole, and sends it translated; a file goes its way."""

    def __init__(self, send: Send, language: str, texts: frozenset[str]) -> None:
        self._send = send
        self._language = language
        self._texts = texts
        self._is_json = False
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            kind = Headers(raw=message["headers"]).get("content-type", "")
            # Dash does not always say what its answers are
            self._is_json = self._texts is TEXTS or kind.startswith("application/json")
            if not self._is_json:
                await self._send(message)
            return
        if not self._is_json:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self._exchanged()
        MutableHeaders(scope=self._start)["content-length"] = str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})

    def _exchanged(self) -> bytes:
        try:
            value = json.loads(self._body)
        except ValueError:
            return self._body
        return json.dumps(translated(value, self._language, texts=self._texts), ensure_ascii=False).encode()
