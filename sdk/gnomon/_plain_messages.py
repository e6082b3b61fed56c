"""Messages that are nothing but a role and a text, kept as they are until somebody reads them as JSON.

Most are. Texts cannot change meanwhile, so nothing has to be copied, and a long prompt is written as JSON on
the exporter's thread.
"""

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as quoted
from typing import Any, Final

_AROUND: Final = 64
"""Characters of JSON around one text, and bytes of the tuple that holds it."""

Message = tuple[str, str, str | None]
"""Role, text, and why it ended: None for a message of a request."""


class PlainMessages:
    """A value of a span's attributes that becomes text once.

    Attributes:
        chars: about how many characters of JSON they will be.
    """

    __slots__ = ("_messages", "_text", "chars")

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self._text: str | None = None
        chars = 0
        for _, text, _ in messages:
            chars += len(text) + _AROUND
        self.chars = chars

    def __sizeof__(self) -> int:
        """About how much memory they take, in bytes; a character takes one, two or four of them."""
        return sum([text.__sizeof__() + _AROUND for _, text, _ in self._messages])

    def text(self) -> str:
        """Return the messages as JSON, in the shape of the GenAI conventions."""
        if self._text is None:
            messages = [
                f'{{"role":{quoted(role)},"parts":[{{"type":"text","content":{quoted(text)}}}]'
                + ("}" if reason is None else f',"finish_reason":{quoted(reason)}}}')
                for role, text, reason in self._messages
            ]
            self._text = f"[{','.join(messages)}]"
        return self._text


def written(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with all messages written."""
    return {key: value.text() if type(value) is PlainMessages else value for key, value in attributes.items()}
