"""The interface in another language: words of the pages, exchanged in what the server answers.

Only words that the dictionary (words/<code>.json) has are exchanged, and only where components show text:
what services sent (names, prompts, errors) stays as it is, unless it is such a word to the letter. In a word
``{}`` stands for a number with its unit and ``{name}`` for any text; both are put into the translation in the
same order. ``{name}`` is for phrases that nobody but us writes.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from http.cookies import SimpleCookie
from importlib.resources import files
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LANGUAGES: Final = {"en": "English", "ru": "Русский"}
LANGUAGE_COOKIE: Final = "gnomon_language"
_TRANSLATED: Final = ("/_dash-layout", "/_dash-update-component")
TEXTS: Final = frozenset(
    {"children", "label", "title", "placeholder", "name", "aria-label", "copiedChildren", "headerName"}
)
_GAP: Final = re.compile(r"\{(?:name)?\}")
_NUMBER: Final = r"([^A-Za-z]{0,12}\d[\d.,%×]*[kMBT]?(?: (?:ms|s|min|h)(?: \d+ (?:s|min))?)?)"
_NAME: Final = "(.{1,200}?)"
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
    """Return what the words with gaps look like, and their translations; the longest first."""
    with_gaps = sorted((word for word in words(language) if gaps(word)), key=len, reverse=True)
    return tuple((_pattern(word), _GAP.sub("{}", words(language)[word])) for word in with_gaps)


def gaps(word: str) -> list[str]:
    """Return the gaps of a word in their order."""
    return _GAP.findall(word)


def _pattern(word: str) -> re.Pattern[str]:
    fixed = [re.escape(part) for part in _GAP.split(word)]
    between = [_NUMBER if gap == "{}" else _NAME for gap in gaps(word)]
    return re.compile("".join(part for pair in zip(fixed, [*between, ""], strict=True) for part in pair))


def exchanged(text: str, language: str) -> str:
    """Return a text in a language; as it is where the dictionary has no word for it."""
    dictionary = words(language)
    found = dictionary.get(text)
    if found is not None or len(text) > _LONGEST_SENTENCE:
        return found or text
    for pattern, translation in sentences(language):
        match = pattern.fullmatch(text)
        if match:
            return translation.format(*(dictionary.get(part, part) for part in match.groups()))
    return text


def translated(value: Any, language: str, key: str = "") -> Any:
    """Return a JSON value with the texts of components exchanged."""
    if isinstance(value, str):
        return exchanged(value, language) if key in TEXTS else value
    if isinstance(value, list):
        inner = key if key in LISTS else ""
        return [translated(item, language, inner) for item in value]
    if isinstance(value, dict):
        return {name: translated(item, language, name) for name, item in value.items()}
    return value


def language_of(headers: Mapping[str, str]) -> str:
    """Return the language that a viewer chose, English where none or an unknown one."""
    found = SimpleCookie(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    return found.value if found is not None and found.value in LANGUAGES else "en"


class Translation:
    """ASGI middleware that translates the layout and the answers of callbacks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in _TRANSLATED:
            await self.app(scope, receive, send)
            return
        language = language_of(Headers(scope=scope))
        await self.app(scope, receive, _Exchange(send, language) if words(language) else send)


class _Exchange:
    """Holds an answer back until it is whole, and sends it translated."""

    def __init__(self, send: Send, language: str) -> None:
        self._send = send
        self._language = language
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
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
        return json.dumps(translated(value, self._language), ensure_ascii=False).encode()
