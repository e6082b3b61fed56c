"""The light span of a recorded call does what OpenTelemetry's own does, for whoever looks at it."""

import json
import os
import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gnomon import _call_span
from gnomon._call_span import _CHANGING, CallSpan, start_call_span
from gnomon._plain_messages import PlainMessages
from gnomon._wire import UnsupportedError, encode_request, pack

TEXT = 'Где "мой" заказ?\n'


class Kept(SpanProcessor):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.started.append(span)

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


class Ones(IdGenerator):
    """The same ids each time, so that two providers make the same span."""

    def generate_trace_id(self) -> int:
        return 1 << 70

    def generate_span_id(self) -> int:
        return 7


@pytest.fixture
def kept() -> Iterator[Kept]:
    yield Kept()


def tracer_of(kept: Kept, **settings: Any) -> trace.Tracer:
    provider = TracerProvider(shutdown_on_exit=False, id_generator=Ones(), **settings)
    provider.add_span_processor(kept)
    return provider.get_tracer("gnomon.openai", "1.0")


def known() -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.input.messages": PlainMessages([("user", TEXT, None)]),
    }


def light(tracer: trace.Tracer, around: Context | None = None) -> CallSpan:
    span = start_call_span(tracer, "chat m", known(), Context() if around is None else around)
    assert type(span) is CallSpan
    return span


def sent(span: ReadableSpan) -> Any:
    return ExportTraceServiceRequest.FromString(encode_request([pack(span)], {}))


def test_it_is_sent_as_opentelemetrys_own_would_be(kept: Kept) -> None:
    tracer = tracer_of(kept)
    span = light(tracer)
    span.add_known({"gen_ai.output.messages": PlainMessages([("assistant", "Hi", "stop")])})
    span.end(5)
    span._start_time = 1
    own: Any = tracer.start_span("chat m", Context(), kind=SpanKind.CLIENT, start_time=1)
    own.set_attributes(
        {key: getattr(value, "text", lambda v=value: v)() for key, value in span.known.items()}
    )
    own.end(5)
    assert sent(span) == encode_spans([kept.ended[1]])
    assert span.to_json() == kept.ended[1].to_json()


def test_messages_are_the_json_the_conventions_ask_for() -> None:
    messages = PlainMessages([("user", TEXT, None), ("assistant", "\x00\u2028", "stop")])
    assert json.loads(messages.text()) == [
        {"role": "user", "parts": [{"type": "text", "content": TEXT}]},
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "\x00\u2028"}],
            "finish_reason": "stop",
        },
    ]


def test_processors_of_the_host_see_an_ordinary_span(kept: Kept) -> None:
    span = light(tracer_of(kept))
    assert kept.started == [span]
    assert isinstance(span, Span)
    assert span.attributes is not None
    assert span.attributes["gen_ai.usage.input_tokens"] == 12
    assert json.loads(str(span.attributes["gen_ai.input.messages"]))[0]["role"] == "user"
    span.end()
    (ended,) = kept.ended
    assert (ended.kind, ended.name, ended.status.status_code) == (SpanKind.CLIENT, "chat m", StatusCode.UNSET)
    assert (ended.events, ended.links, ended.dropped_attributes) == ((), (), 0)
    assert ended.end_time is not None and ended.start_time is not None


def test_what_the_host_adds_is_kept_and_sent(kept: Kept) -> None:
    span = light(tracer_of(kept))
    span.set_attribute("shop.tier", "gold")
    span.set_attributes({"shop.list": ["a", "b"], "shop.deep": {"a": 1}})  # has to be cleaned
    span.add_event("retry", {"attempt": 2})
    span.record_exception(ValueError("no"))
    span.set_status(Status(StatusCode.ERROR, "bad"))
    span.update_name("chat other")
    span.add_known({"gen_ai.output.messages": PlainMessages([("assistant", "Hi", "stop")])})
    span.end()
    assert span.attributes is not None
    assert span.attributes["shop.list"] == ("a", "b")
    assert "Hi" in str(span.attributes["gen_ai.output.messages"])
    message = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
    assert [event.name for event in message.events] == ["retry", "exception"]
    assert (message.name, message.status.message) == ("chat other", "bad")


def test_it_ends_once_and_takes_nothing_afterwards(kept: Kept) -> None:
    span = light(tracer_of(kept))
    ends = [threading.Thread(target=span.end) for _ in range(8)]
    for thread in ends:
        thread.start()
    for thread in ends:
        thread.join()
    assert len(kept.ended) == 1
    assert not span.is_recording()
    span.set_attribute("late", 1)
    assert "late" not in (span.attributes or {})
    with pytest.raises(TypeError):
        span._attributes["late"] = 1  # type: ignore[index]


def test_it_is_a_child_of_what_is_around_it(kept: Kept) -> None:
    parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    around = trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
    span = light(tracer_of(kept), around)
    assert (span.parent, span.get_span_context().trace_id) == (parent, 5)
    span.end()
    message = sent(span).resource_spans[0].scope_spans[0].spans[0]
    assert message.parent_span_id == (6).to_bytes(8, "big")
    assert message.flags & 0x200


def test_a_parent_that_is_left_out_leaves_it_out(kept: Kept) -> None:
    parent = trace.NonRecordingSpan(SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(0)))
    span = start_call_span(tracer_of(kept), "chat m", known(), trace.set_span_in_context(parent, Context()))
    assert not span.is_recording()
    assert span.get_span_context().trace_id == 5
    assert kept.started == []


class Curious(Sampler):
    """Decides by attributes."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        attributes = kwargs.get("attributes") or args[4]
        assert attributes["gen_ai.operation.name"] == "chat"
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "Curious"


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler": Curious()},
        {"sampler": ParentBased(Curious())},
        {"span_limits": SpanLimits(max_span_attribute_length=5)},
        {"span_limits": SpanLimits(max_span_attributes=2)},
    ],
)
def test_where_it_would_change_something_opentelemetrys_own_is_used(
    settings: dict[str, Any], kept: Kept
) -> None:
    span = start_call_span(tracer_of(kept, **settings), "chat m", known(), Context())
    assert type(span) is not CallSpan
    assert span.is_recording()


def test_where_opentelemetry_names_its_private_parts_otherwise_its_own_is_used(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_call_span, "_is_ordinary", attrgetter("no_longer_there"))
    span = start_call_span(tracer_of(kept), "chat m", known(), Context())
    assert type(span) is not CallSpan
    assert span.is_recording()


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, TraceIdRatioBased(0.0), ParentBased(ALWAYS_OFF)])
def test_samplers_are_asked(sampler: Sampler, kept: Kept) -> None:
    span = start_call_span(tracer_of(kept, sampler=sampler), "chat m", known(), Context())
    assert not span.is_recording()


def test_long_texts_are_left_to_the_exporters_thread(kept: Kept) -> None:
    span = light(tracer_of(kept))
    span.add_known({"gen_ai.output.messages": PlainMessages([("assistant", "x" * 1_000, "stop")])})
    with pytest.raises(UnsupportedError):
        pack(span, max_text_chars=500)
    assert len(pack(span).data) > 1_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_in_the_middle_of_a_change_goes_on(kept: Kept) -> None:
    span = light(tracer_of(kept))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with _CHANGING:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if not child:
        span.end()
        os._exit(0 if len(kept.ended) == 1 else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
