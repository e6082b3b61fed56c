"""A span of a model call that costs the caller little: OpenTelemetry's own class, filled in when it is read.

OpenTelemetry's tracer copies and cleans every attribute under locks and copies the span again at its end. For
calls that Gnomon records itself the attributes are its own, so they are kept in a plain dictionary, and what
OpenTelemetry's class keeps them in is made only where somebody else touches the span (docs/adr/0017).
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from threading import Lock, RLock
from time import time_ns
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Tracer, _Span
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import AnyValue

from gnomon._plain_messages import written

UNSET: Final = trace.Status(trace.StatusCode.UNSET)
_RANDOM_ID: Final = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_SAMPLED: Final = (TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.SAMPLED | _RANDOM_ID))
_NOT_SAMPLED: Final = (TraceFlags(TraceFlags.DEFAULT), TraceFlags(_RANDOM_ID))
_RECORDED: Final = SamplingResult(Decision.RECORD_AND_SAMPLE)
_DROPPED: Final = SamplingResult(Decision.DROP)
_SCALARS: Final = frozenset({str, bool, int, float})
_FEW: Final = 128
"""OpenTelemetry's limit of attributes where nobody sets another."""
_DELEGATES: Final = (
    *("_root", "_remote_parent_sampled", "_local_parent_sampled"),
    *("_remote_parent_not_sampled", "_local_parent_not_sampled"),
)
_CHANGING: Final = RLock()
"""One for all spans: held for a moment, and a lock of its own costs a span more than the rare wait for it."""
if hasattr(os, "register_at_fork"):
    # Another thread may hold it at that moment, and is not there in the child to let go.
    os.register_at_fork(after_in_child=_CHANGING._at_fork_reinit)  # type: ignore[attr-defined]


class CallSpan(_Span):
    """A recording span whose attributes are prepared when they are asked for.

    Attributes:
        known: what is recorded so far; messages may be `PlainMessages`.
        is_light: whether nobody looked closer: no events, no links, and `known` is all there is.
    """

    is_light = True
    _kind = SpanKind.CLIENT
    _status = UNSET
    _start_time: int | None = None
    _end_time: int | None = None
    _record_exception = False
    _set_status_on_exception = False
    _trace_config = None

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        known: dict[str, Any],
    ) -> None:
        # Not the parent's: it makes seven containers and locks that a call hardly ever needs.
        self.known = known
        self._name = name
        self._context = context
        self._parent = parent
        self._tracer = tracer
        self._resource = tracer.resource
        self._span_processor = tracer.span_processor
        self._instrumentation_scope = tracer._instrumentation_scope

    def __getattr__(self, name: str) -> Any:
        """Make what OpenTelemetry's methods look for once one of them is used."""
        make = _MADE_LATE.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with _CHANGING:
            if name not in self.__dict__:
                self.is_light = False
                self.__dict__[name] = make(self)
            return self.__dict__[name]

    def begin(self, context: Context) -> None:
        """Start the span now; ``context`` is what is around it."""
        self._start_time = time_ns()
        self._span_processor.on_start(self, parent_context=context)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set one attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set some attributes; what OpenTelemetry would have to clean makes it do so."""
        if _needs_no_cleaning(attributes) and self._end_time is None and self._keep(attributes):
            return
        super().set_attributes(attributes)

    def add_known(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of Gnomon's own making, some of them perhaps `PlainMessages`."""
        if not self._keep(attributes):
            super().set_attributes(written(attributes))

    def end(self, end_time: int | None = None) -> None:
        """End the span and hand it itself, not a copy, to the processors."""
        with _CHANGING:
            if self._end_time is not None:
                return
            self._end_time = time_ns() if end_time is None else end_time
            if "_attributes" in self.__dict__:
                self._attributes._immutable = True  # type: ignore[union-attr]
        if (count := self.__dict__.get("_record_end_metrics")) is not None:
            count()
        self._span_processor._on_ending(self)
        self._span_processor.on_end(self)

    @property
    def events(self) -> tuple[Event, ...]:
        """Events so far."""
        return tuple(self._events) if "_events" in self.__dict__ else ()

    def _keep(self, attributes: Mapping[str, Any]) -> bool:
        """Take attributes as they are; returns False when OpenTelemetry's container is in charge."""
        with _CHANGING:
            if "_attributes" in self.__dict__:
                return False
            self.known.update(attributes)
            if len(self.known) > _FEW:
                self.is_light = False
            return True


def _bounded(span: CallSpan) -> BoundedAttributes:
    limit = span._limits.max_span_attributes
    return BoundedAttributes(limit, written(span.known), immutable=span._end_time is not None)


_MADE_LATE: Final[Mapping[str, Callable[[CallSpan], object]]] = {
    "_attributes": _bounded,
    "_events": lambda span: BoundedList(span._limits.max_events),
    "_links": lambda span: BoundedList(span._limits.max_links),
    "_lock": lambda span: Lock(),
    "_limits": lambda span: span._tracer._span_limits,
    "_sampler": lambda span: span._tracer.sampler,
    "_instrumentation_info": lambda span: span._tracer.instrumentation_info,
}


def start_call_span(
    tracer: trace.Tracer, name: str, attributes: dict[str, Any], context: Context
) -> trace.Span:
    """Start the span of a call of a model, the light way where nothing speaks against it.

    Args:
        tracer: whose provider, sampler, ids and processors are used.
        name: name of the span.
        attributes: its attributes, kept by the span; some may be `PlainMessages`.
        context: what is around the call.
    """
    # A version of OpenTelemetry to come may name what is private of it otherwise.
    with suppress(AttributeError):
        if type(tracer) is Tracer and _is_ordinary(tracer):
            return _start_light(tracer, name, attributes, context)
    return tracer.start_span(
        name,
        context=context,
        kind=SpanKind.CLIENT,
        attributes=written(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )


def _start_light(tracer: Tracer, name: str, attributes: dict[str, Any], around: Context) -> trace.Span:
    """Do what ``Tracer.start_span`` does, but for copying and cleaning attributes."""
    # With nothing around, as in a plain script, nobody has to be asked for a parent.
    parent = trace.get_current_span(around).get_span_context() if around else None
    ids = tracer.id_generator
    if parent is None or not parent.is_valid:
        parent, state, trace_id, is_random = None, None, ids.generate_trace_id(), _is_random(ids)
    else:
        state, trace_id, is_random = parent.trace_state, parent.trace_id, _has_random_id(parent)
    if not _does_as_parent(tracer.sampler):
        result = tracer.sampler.should_sample(around, trace_id, name, SpanKind.CLIENT)
        state = result.trace_state
    else:
        result = _RECORDED if parent is None or parent.trace_flags.sampled else _DROPPED
    flags = _SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else _NOT_SAMPLED
    context = SpanContext(trace_id, ids.generate_span_id(), False, flags[is_random], state)
    when_ended = tracer._tracer_metrics.start_span(parent, result.decision)
    if result.decision is Decision.DROP:
        return trace.NonRecordingSpan(context)
    span = CallSpan(tracer, name, context, parent, attributes)
    if type(tracer._tracer_metrics).__name__ != "NoOpTracerMetrics":
        span._record_end_metrics = when_ended
    span.begin(around)
    return span


def _has_random_id(parent: SpanContext) -> bool:
    # Older versions of OpenTelemetry do not know about randomness.
    return bool(getattr(parent.trace_flags, "random_trace_id", False))


def _is_random(ids: IdGenerator) -> bool:
    return type(ids) is RandomIdGenerator or getattr(ids, "is_trace_id_random", bool)()


def _is_ordinary(tracer: Tracer) -> bool:
    """Whether attributes matter to nobody at the start, and no text has to be cut."""
    limits = tracer._span_limits
    return (
        limits.max_span_attribute_length is None
        and (limits.max_span_attributes is None or limits.max_span_attributes >= _FEW)
        and _asks_ids_only(tracer.sampler)
        and tracer._is_enabled()
    )


@lru_cache(maxsize=8)
def _asks_ids_only(sampler: Sampler) -> bool:
    """Whether a sampler is one of OpenTelemetry's that decide by trace id and parent alone."""
    if type(sampler) is ParentBased:
        return all(_asks_ids_only(getattr(sampler, delegate)) for delegate in _DELEGATES)
    return type(sampler) in (StaticSampler, TraceIdRatioBased)


@lru_cache(maxsize=8)
def _does_as_parent(sampler: Sampler) -> bool:
    """Whether a sampler is OpenTelemetry's default: everything, unless the parent was left out."""
    if type(sampler) is not ParentBased:
        return False
    samples = [getattr(getattr(sampler, delegate), "_decision", None) for delegate in _DELEGATES]
    return samples == [Decision.RECORD_AND_SAMPLE] * 3 + [Decision.DROP] * 2


def _needs_no_cleaning(attributes: Mapping[str, AnyValue]) -> bool:
    return all(type(key) is str and key and type(value) in _SCALARS for key, value in attributes.items())


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    """Return a span's attributes at the least cost, some of them perhaps `PlainMessages`."""
    if type(span) is CallSpan and span.is_light:
        return span.known
    return span.attributes or {}
