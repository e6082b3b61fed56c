"""Which methods of the openai client are recorded, and how the requests and answers of each are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gnomon import _openai_fields as fields
from gnomon import _openai_media as media
from gnomon._openai_fields import Reading
from gnomon._openai_responses import ResponsesStream, responses_answer, responses_request
from gnomon._openai_stream import ChatStream, StreamRecord

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call.

    Attributes:
        request: returns what the arguments of the call say.
        answer: returns what the answer to those arguments says.
        stream: keeps what a streamed answer says.
    """

    request: Callable[[Mapping[str, Any], Reading], Attributes]
    answer: Callable[[Any, Mapping[str, Any], Reading], Attributes]
    stream: type[StreamRecord] = StreamRecord


@dataclass(frozen=True, slots=True)
class Place:
    """A method to wrap; it may be missing in other versions of openai."""

    module: str
    owner: str
    method: str
    operation: Operation
    is_async: bool


_RESOURCES: Final = "openai.resources."
_CHAT: Final = Operation(fields.chat_request, fields.chat_answer, ChatStream)
_EMBEDDINGS: Final = Operation(fields.embeddings_request, fields.embeddings_answer)
_RESPONSES: Final = Operation(responses_request, responses_answer, ResponsesStream)
_COMPLETION: Final = Operation(media.completion_request, media.completion_answer, media.CompletionStream)
_IMAGE: Final = Operation(media.image_request, media.image_answer)
_SPEECH: Final = Operation(media.speech_request, media.bytes_answer)
_TRANSCRIPTION: Final = Operation(media.transcription_request, media.text_answer)
_MODERATION: Final = Operation(media.moderation_request, media.moderation_answer)

PLACES: Final = tuple(
    Place(_RESOURCES + module, prefix + owner, method, operation, bool(prefix))
    for module, owner, method, operation in (
        ("chat.completions", "Completions", "create", _CHAT),
        ("chat.completions", "Completions", "parse", _CHAT),
        ("embeddings", "Embeddings", "create", _EMBEDDINGS),
        ("responses", "Responses", "create", _RESPONSES),
        ("responses", "Responses", "parse", _RESPONSES),
        ("completions", "Completions", "create", _COMPLETION),
        ("images", "Images", "generate", _IMAGE),
        ("images", "Images", "edit", _IMAGE),
        ("images", "Images", "create_variation", _IMAGE),
        ("audio.speech", "Speech", "create", _SPEECH),
        ("audio.transcriptions", "Transcriptions", "create", _TRANSCRIPTION),
        ("audio.translations", "Translations", "create", _TRANSCRIPTION),
        ("moderations", "Moderations", "create", _MODERATION),
    )
    for prefix in ("", "Async")
)
