"""OpenAI's other calls: legacy completions, images, speech, transcriptions, moderations.

A span with its model, duration, status and tokens where the provider counts them. Pictures and recordings are
never recorded, only counted.
"""

from collections.abc import Mapping
from typing import Any

from gnomon import _values
from gnomon._openai_content import dumped, field, output_message, reference
from gnomon._openai_fields import (
    Reading,
    chat_attributes,
    finish_reasons,
    plain_within,
    request_attributes,
)
from gnomon._openai_stream import StreamRecord
from gnomon_schemas import attributes as names

Attributes = dict[str, Any]


def completion_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what the request of a legacy completion says."""
    return request_attributes(kwargs, "text_completion") | _asked(kwargs.get("prompt"), reading)


def completion_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a legacy completion says."""
    attributes = chat_attributes(answer)
    if answer.choices:
        attributes[names.FINISH_REASONS] = finish_reasons(answer.choices)
        if reading.content:
            said = [_text_message(choice.text, choice.finish_reason) for choice in answer.choices]
            attributes[names.OUTPUT_MESSAGES] = dumped(said, reading.max_chars)
    return attributes


class CompletionStream(StreamRecord):
    """What a streamed legacy completion says."""

    def _add(self, chunk: Any) -> None:
        if chunk.usage is not None or not self._call.attributes:
            self._call.attributes.update(chat_attributes(chunk))
        for choice in chunk.choices or ():
            if choice.text:
                self._call.token()
                self._keep((choice.index, "text"), choice.text)
            if choice.finish_reason:
                self._reasons[choice.index] = choice.finish_reason

    def _finish(self) -> None:
        if self._reasons:
            self._call.attributes[names.FINISH_REASONS] = tuple(self._reasons.values())
        if self._reading.content and self._texts:
            said = [
                _text_message("".join(texts), self._reasons.get(index))
                for (index, _), texts in sorted(self._texts.items())
            ]
            self._call.attributes[names.OUTPUT_MESSAGES] = dumped(said, self._reading.max_chars)


def image_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a request for pictures says."""
    said = _media(kwargs, "image_generation", "image")
    return said | _asked(kwargs.get("prompt"), reading)


def image_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return where the pictures are, or how large."""
    attributes = chat_attributes(answer)
    if reading.content and answer.data:
        parts = [reference("image", picture.url or picture.b64_json, "base64") for picture in answer.data]
        attributes[names.OUTPUT_MESSAGES] = dumped([output_message(parts, "stop")], reading.max_chars)
    return attributes


def speech_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a request for speech says."""
    return _media(kwargs, "speech", "speech") | _asked(kwargs.get("input"), reading)


def transcription_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a request to write down a recording says; the recording is left alone."""
    return _media(kwargs, "transcription", "text") | _asked(kwargs.get("prompt"), reading)


def text_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what was understood: the answer is text, or has it."""
    attributes = chat_attributes(answer)
    text = answer if isinstance(answer, str) else field(answer, "text")
    if reading.content and isinstance(text, str):
        attributes[names.OUTPUT_MESSAGES] = dumped([_text_message(text, "stop")], reading.max_chars)
    return attributes


def bytes_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Nothing is said of an answer that is sound."""
    return {}


def moderation_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what is to be judged."""
    attributes = request_attributes(kwargs, "moderation") | {names.KIND: "guardrail"}
    if reading.content:
        attributes[names.INPUT] = _values.to_text(kwargs.get("input"), reading.max_chars)
    return attributes


def moderation_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return the verdicts: which texts were flagged, and for what."""
    verdicts = [
        {"flagged": result.flagged, "categories": [key for key, hit in result.categories if hit]}
        for result in answer.results
    ]
    return chat_attributes(answer) | {names.OUTPUT: dumped(verdicts, reading.max_chars)}


def _media(kwargs: Mapping[str, Any], operation: str, output: str) -> Attributes:
    # The conventions have no operation for these: the kind says that a model was called.
    return request_attributes(kwargs, operation) | {names.KIND: "generation", "gen_ai.output.type": output}


def _asked(prompt: Any, reading: Reading) -> Attributes:
    texts = [prompt] if isinstance(prompt, str) else prompt
    if not reading.content or not isinstance(texts, list) or not all(type(text) is str for text in texts):
        return {}
    messages = plain_within([("user", text, None) for text in texts], reading.max_chars)
    cut = [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts]
    return {names.INPUT_MESSAGES: messages or dumped(cut, reading.max_chars)}


def _text_message(text: Any, reason: Any) -> Attributes:
    return output_message([{"type": "text", "content": text}], reason)
