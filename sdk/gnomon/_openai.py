"""Gnomon's own instrumentation of the openai client: chat completions and embeddings, sync and async.

OpenTelemetry's instrumentor for openai costs several times what the span itself does (docs/adr/0011).
Where it is installed it stays in charge of everything else, such as the Responses API.
"""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current

from gnomon import _openai_fields as fields
from gnomon._guard import Guard
from gnomon._model_call import ModelCall
from gnomon._openai_stream import StreamRecord, watch
from gnomon_schemas import attributes as names

Function = Callable[..., Any]
_CHAT: Final = "openai.resources.chat.completions"
_EMBEDDINGS: Final = "openai.resources.embeddings"
_RAW_HEADER: Final = "X-Stainless-Raw-Response"
_SUPPRESSED: Final = (
    _SUPPRESS_INSTRUMENTATION_KEY,
    "suppress_instrumentation",
    # Set by instrumentors of frameworks (LangChain, LlamaIndex) that record the call themselves.
    "suppress_language_model_instrumentation",
)
_ENRICHED: Final = (
    # Set by OpenTelemetry's instrumentors around the calls inside of one they record; theirs adds to it.
    "opentelemetry.genai.client.inference.context",
    "opentelemetry.genai.client.embedding.context",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """A method to wrap; it may be missing in other versions of openai."""

    module: str
    owner: str
    method: str
    operation: str
    is_async: bool


_PLACES: Final = (
    _Place(_CHAT, "Completions", "create", "chat", False),
    _Place(_CHAT, "Completions", "parse", "chat", False),
    _Place(_CHAT, "AsyncCompletions", "create", "chat", True),
    _Place(_CHAT, "AsyncCompletions", "parse", "chat", True),
    _Place(_EMBEDDINGS, "Embeddings", "create", "embeddings", False),
    _Place(_EMBEDDINGS, "AsyncEmbeddings", "create", "embeddings", True),
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """What the wrappers need to record a call."""

    tracer: Any
    guard: Guard
    captures_content: bool
    max_value_chars: int
    servers: WeakKeyDictionary[Any, fields.Attributes] = field(default_factory=WeakKeyDictionary)

    def begin(
        self, place: _Place, resource: Any, kwargs: dict[str, Any], around: Context
    ) -> ModelCall | None:
        """Start the span of a call and make it current; None when that failed."""
        try:
            attributes = fields.request_attributes(kwargs, place.operation)
            attributes.update(self._server(resource))
            if self.captures_content and place.operation == "chat":
                attributes.update(fields.input_content(kwargs, self.max_value_chars))
            elif self.captures_content and isinstance(text := kwargs.get("input"), str):
                attributes[names.INPUT] = text[: self.max_value_chars]
            name = f"{place.operation} {attributes[names.REQUEST_MODEL]}"
            call = ModelCall(self.tracer, name, attributes, around)
            call.enter()
        except Exception as error:
            self.guard.report("recording a request to openai", error)
            return None
        return call

    def _server(self, resource: Any) -> fields.Attributes:
        client = getattr(resource, "_client", None)
        if client is None:
            return {}
        known = self.servers.get(client)
        if known is None:
            # A client keeps its address; reading it from httpx's URL each time takes as long as the JSON.
            known = self.servers[client] = fields.server_attributes(client)
        return known

    def fail(self, call: ModelCall, error: BaseException) -> None:
        """End the span of a call that raised."""
        with self.guard.harmless("recording an error of openai"):
            call.leave()
            call.fail(error)
            call.end()

    def settle(self, call: ModelCall, kwargs: dict[str, Any], result: Any) -> Any:
        """End the span of a call that returned, or have its stream do so; returns the result."""
        try:
            call.leave()
            headers = kwargs.get("extra_headers")
            if headers and _RAW_HEADER in headers:
                self._settle_raw(call, kwargs, result)
            else:
                self._settle(call, kwargs, result)
        except Exception as error:
            self.guard.report("recording an answer of openai", error)
        return result

    def _settle(self, call: ModelCall, kwargs: dict[str, Any], result: Any) -> None:
        if kwargs.get("stream") is True:
            record = StreamRecord(call, self.guard, self.max_value_chars, self.captures_content)
            if watch(result, record):
                return
        else:
            self._read(call, result)
        call.end()

    def _settle_raw(self, call: ModelCall, kwargs: dict[str, Any], raw: Any) -> None:
        """``with_raw_response``: a stream is watched once it is unpacked, an answer is unpacked already."""
        parse = getattr(raw, "parse", None)
        if parse is None or kwargs["extra_headers"][_RAW_HEADER] == "stream":
            # with_streaming_response: the host reads the body itself, as bytes, when it likes.
            call.end()
        elif kwargs.get("stream") is True:
            raw.parse = self._watched_parse(call, kwargs, parse)
        else:
            self._read(call, parse())
            call.end()

    def _watched_parse(self, call: ModelCall, kwargs: dict[str, Any], parse: Function) -> Function:
        def watched(*args: Any, **options: Any) -> Any:
            stream = parse(*args, **options)
            with self.guard.harmless("recording a stream of openai"):
                self._settle(call, kwargs, stream)
            return stream

        return watched

    def _read(self, call: ModelCall, answer: Any) -> None:
        try:
            call.attributes.update(fields.chat_attributes(answer))
            choices = getattr(answer, "choices", None)
            if choices:
                call.attributes[names.FINISH_REASONS] = fields.finish_reasons(choices)
                if self.captures_content:
                    call.attributes[names.OUTPUT_MESSAGES] = fields.output_messages(
                        choices, self.max_value_chars
                    )
        except Exception as error:
            self.guard.report("reading an answer of openai", error)


@dataclass
class OpenAIInstrumentation:
    """Puts the wrappers in place, and the methods that were there before back again."""

    recorder: Recorder
    _originals: dict[_Place, Function] = field(default_factory=dict)
    _replaced: list[tuple[Any, str, Function]] = field(default_factory=list)

    def prepare(self) -> None:
        """Take note of the methods before anyone wraps them."""
        for place in _PLACES:
            method = getattr(_owner(place), place.method, None)
            if method is not None:
                self._originals[place] = method

    def start(self) -> None:
        """Wrap the methods in place of what others wrapped around them meanwhile."""
        for place, original in self._originals.items():
            owner = _owner(place)
            before = getattr(owner, place.method)
            self._replaced.append((owner, place.method, before))
            wrap = _wrapped_async if place.is_async else _wrapped
            setattr(owner, place.method, wrap(original, before, place, self.recorder))

    def stop(self) -> None:
        """Put back what was there."""
        for owner, method, before in self._replaced:
            setattr(owner, method, before)
        self._replaced.clear()


def _owner(place: _Place) -> Any:
    """Return a class of openai; None when this version has none of that name."""
    try:
        return getattr(importlib.import_module(place.module), place.owner, None)
    except ImportError:
        return None


def _recorded_by(context: Context, original: Function, before: Function) -> Function | None:
    """Return the method to call instead when the call is not Gnomon's to record; None when it is."""
    if any(context.get(key) for key in _SUPPRESSED):
        return original
    return before if any(context.get(key) is not None for key in _ENRICHED) else None


def _wrapped(original: Function, before: Function, place: _Place, recorder: Recorder) -> Function:
    @functools.wraps(original)
    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = get_current()
        other = _recorded_by(context, original, before) if context else None
        call = recorder.begin(place, self, kwargs, context) if other is None else None
        if call is None:
            return (other or original)(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            recorder.fail(call, error)
            raise
        return recorder.settle(call, kwargs, result)

    return create


def _wrapped_async(original: Function, before: Function, place: _Place, recorder: Recorder) -> Function:
    @functools.wraps(original)
    async def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = get_current()
        other = _recorded_by(context, original, before) if context else None
        call = recorder.begin(place, self, kwargs, context) if other is None else None
        if call is None:
            return await (other or original)(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            recorder.fail(call, error)
            raise
        return recorder.settle(call, kwargs, result)

    return create
