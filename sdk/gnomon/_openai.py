"""Gnomon's own instrumentation of the openai client, sync and async: see `gnomon._openai_operations`.

OpenTelemetry's instrumentor for openai costs several times what the span itself does (docs/adr/0011).
Where it is installed it stays in charge of what is not wrapped here.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current

from gnomon._guard import Guard
from gnomon._import_hook import when_imported
from gnomon._model_call import ModelCall
from gnomon._openai_fields import Reading, server_attributes
from gnomon._openai_operations import PLACES, Operation, Place
from gnomon._openai_stream import watch
from gnomon_schemas import attributes as names

Attributes = dict[str, Any]
Function = Callable[..., Any]
_PATCHED_BY_OTHERS: Final = (
    *("openai.resources.chat.completions", "openai.resources.embeddings", "openai.resources.responses"),
)
"""What OpenTelemetry's instrumentor wraps; the other modules are not imported for nothing."""
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
class Recorder:
    """What the wrappers need to record a call."""

    tracer: Any
    guard: Guard
    reading: Reading
    servers: WeakKeyDictionary[Any, Attributes] = field(default_factory=WeakKeyDictionary)

    def begin(self, place: Place, resource: Any, kwargs: dict[str, Any], around: Context) -> ModelCall | None:
        """Start the span of a call and make it current; None when that failed."""
        try:
            attributes = place.operation.request(kwargs, self.reading)
            attributes.update(self._server(resource))
            name = f"{attributes[names.OPERATION_NAME]} {attributes[names.REQUEST_MODEL]}".rstrip()
            call = ModelCall(self.tracer, name, attributes, around)
            call.enter()
        except Exception as error:
            self.guard.report("recording a request to openai", error)
            return None
        return call

    def _server(self, resource: Any) -> Attributes:
        client = getattr(resource, "_client", None)
        if client is None:
            return {}
        known = self.servers.get(client)
        if known is None:
            # A client keeps its address; reading it from httpx's URL each time takes as long as the JSON.
            known = self.servers[client] = server_attributes(client)
        return known

    def fail(self, call: ModelCall, error: BaseException) -> None:
        """End the span of a call that raised."""
        with self.guard.harmless("recording an error of openai"):
            call.leave()
            call.fail(error)
            call.end()

    def settle(self, call: ModelCall, operation: Operation, kwargs: dict[str, Any], result: Any) -> Any:
        """End the span of a call that returned, or have its stream do so; returns the result."""
        try:
            call.leave()
            headers = kwargs.get("extra_headers")
            if headers and _RAW_HEADER in headers:
                self._settle_raw(call, operation, kwargs, result)
            else:
                self._settle(call, operation, kwargs, result)
        except Exception as error:
            self.guard.report("recording an answer of openai", error)
        return result

    def _settle(self, call: ModelCall, operation: Operation, kwargs: dict[str, Any], result: Any) -> None:
        if kwargs.get("stream") is True:
            if watch(result, operation.stream(call, self.guard, self.reading)):
                return
        else:
            self._read(call, operation, kwargs, result)
        call.end()

    def _settle_raw(self, call: ModelCall, operation: Operation, kwargs: dict[str, Any], raw: Any) -> None:
        """``with_raw_response``: a stream is watched once it is unpacked, an answer is unpacked already."""
        parse = getattr(raw, "parse", None)
        if parse is None or kwargs["extra_headers"][_RAW_HEADER] == "stream":
            # with_streaming_response: the host reads the body itself, as bytes, when it likes.
            call.end()
        elif kwargs.get("stream") is True:
            raw.parse = self._watched_parse(call, operation, kwargs, parse)
        else:
            self._read(call, operation, kwargs, parse())
            call.end()

    def _watched_parse(
        self, call: ModelCall, operation: Operation, kwargs: dict[str, Any], parse: Function
    ) -> Function:
        def watched(*args: Any, **options: Any) -> Any:
            stream = parse(*args, **options)
            with self.guard.harmless("recording a stream of openai"):
                self._settle(call, operation, kwargs, stream)
            return stream

        return watched

    def _read(self, call: ModelCall, operation: Operation, kwargs: dict[str, Any], answer: Any) -> None:
        try:
            call.attributes.update(operation.answer(answer, kwargs, self.reading))
        except Exception as error:
            self.guard.report("reading an answer of openai", error)


@dataclass
class OpenAIInstrumentation:
    """Puts the wrappers in place, and the methods that were there before back again."""

    recorder: Recorder
    _originals: dict[Place, Function] = field(default_factory=dict)
    _replaced: list[tuple[Any, str, Function]] = field(default_factory=list)
    _stopped: bool = False

    def prepare(self) -> None:
        """Take note of the methods before anyone wraps them."""
        for place in PLACES:
            if place.module in _PATCHED_BY_OTHERS and (method := getattr(_owner(place), place.method, None)):
                self._originals[place] = method

    def start(self) -> None:
        """Wrap the methods, those of modules that nobody imported yet as soon as somebody does."""
        self._stopped = False
        for module in dict.fromkeys(place.module for place in PLACES):
            if module in sys.modules:
                self._wrap(module)
            else:
                when_imported(module, functools.partial(self._wrap_late, module))

    def stop(self) -> None:
        """Put back what was there."""
        self._stopped = True
        for owner, method, before in self._replaced:
            setattr(owner, method, before)
        self._replaced.clear()

    def _wrap_late(self, module: str) -> None:
        if not self._stopped:
            with self.recorder.guard.harmless(f"instrumenting {module}"):
                self._wrap(module)

    def _wrap(self, module: str) -> None:
        for place in PLACES:
            owner = _owner(place) if place.module == module else None
            before = getattr(owner, place.method, None)
            if before is None:
                continue
            self._replaced.append((owner, place.method, before))
            wrap = _wrapped_async if place.is_async else _wrapped
            setattr(
                owner, place.method, wrap(self._originals.get(place, before), before, place, self.recorder)
            )


def _owner(place: Place) -> Any:
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


def _wrapped(original: Function, before: Function, place: Place, recorder: Recorder) -> Function:
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
        return recorder.settle(call, place.operation, kwargs, result)

    return create


def _wrapped_async(original: Function, before: Function, place: Place, recorder: Recorder) -> Function:
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
        return recorder.settle(call, place.operation, kwargs, result)

    return create
