"""The interface in another language: words of the pages, exchanged in what the server answers.

Only words that the dictionary (words/<code>.json) has are exchanged, and only where components show
text: what
services sent (names, prompts, errors) stays as it is, unless it is such a word to the letter.
"""

import json
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
LISTS: Final = frozenset({"children", "data", "columnDefs"})


@cache
def words(language: str) -> Mapping[str, str]:
    """Return the dictionary of a language; empty for English and for one that there is none of."""
    if language not in LANGUAGES or language == "en":
        return {}
    text = (files("gnomon_dashboard") / "words" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def translated(value: Any, dictionary: Mapping[str, str], key: str = "") -> Any:
    """Return a JSON value with the texts of components exchanged."""
    if isinstance(value, str):
        return dictionary.get(value, value) if key in TEXTS else value
    if isinstance(value, list):
        inner = key if key in LISTS else ""
        return [translated(item, dictionary, inner) for item in value]
    if isinstance(value, dict):
        return {name: translated(item, dictionary, name) for name, item in value.items()}
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
        dictionary = words(language_of(Headers(scope=scope)))
        await self.app(scope, receive, _Exchange(send, dictionary) if dictionary else send)


class _Exchange:
    """Holds an answer back until it is whole, and sends it translated."""

    def __init__(self, send: Send, dictionary: Mapping[str, str]) -> None:
        self._send = send
        self._dictionary = dictionary
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
        return json.dumps(translated(value, self._dictionary), ensure_ascii=False).encode()
