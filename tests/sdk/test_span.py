"""`gnomon.span`: what it records, how it fails, and that the host's exceptions stay the host's."""

import asyncio
import json
from typing import Any

import pytest
from opentelemetry import trace
from tests.sdk.test_values import Hostile, cyclic, deep

import gnomon
from gnomon import testing


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def attributes_of(captured: testing.Captured, name: str) -> dict[str, Any]:
    return dict(captured.span(name).attributes or {})


def test_a_span_has_kind_input_output_and_attributes() -> None:
    with testing.capture() as captured, gnomon.span("find", kind="retrieval", attributes={"a": 1}) as span:
        span.set_input({"q": "Привет"})
        span.set_output(["doc"])
        span.set_attribute("gen_ai.retrieval.documents", [{"id": "d1", "score": 0.5}])
        span.set_attribute("skipped", None)
    assert attributes_of(captured, "find") == {
        "gnomon.span.kind": "retrieval",
        "a": 1,
        "gnomon.input": '{"q":"Привет"}',
        "gnomon.output": '["doc"]',
        "gen_ai.retrieval.documents": '[{"id":"d1","score":0.5}]',
    }


def test_spans_nest_and_know_their_ids() -> None:
    with testing.capture() as captured, gnomon.span("outer") as outer:
        assert gnomon.current_trace_id() == outer.trace_id
        with gnomon.span("inner") as inner:
            assert inner.trace_id == outer.trace_id
    inner_span = captured.span("inner")
    assert inner_span.parent is not None
    assert trace.format_span_id(inner_span.parent.span_id) == outer.span_id
    assert gnomon.current_trace_id() is None


def test_an_exception_is_recorded_and_goes_on() -> None:
    with testing.capture() as captured, pytest.raises(ZeroDivisionError), gnomon.span("work"):
        raise ZeroDivisionError("by zero")
    span = captured.span("work")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "by zero"
    assert attributes_of(captured, "work")["error.type"] == "ZeroDivisionError"
    assert "test_span.py" in str((span.events[0].attributes or {})["exception.stacktrace"])


def test_an_exception_that_cannot_be_printed_goes_on_as_it_is() -> None:
    with testing.capture() as captured, pytest.raises(HostileError), gnomon.span("work"):
        raise HostileError
    assert captured.span("work").status.description == "<unprintable HostileError>"
    assert attributes_of(captured, "work")["error.type"].endswith("test_span.HostileError")


@pytest.mark.parametrize("stop", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
def test_what_was_stopped_did_not_fail(stop: type[BaseException]) -> None:
    with testing.capture() as captured, pytest.raises(stop), gnomon.span("work"):
        raise stop
    assert attributes_of(captured, "work")["gnomon.status"] == "cancelled"
    assert captured.span("work").status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize("value", [Hostile(), cyclic(), deep(2000), float("nan"), b"\x00" * 10, "x" * 10**7])
def test_hostile_values_are_recorded_within_bounds(value: object) -> None:
    with testing.capture() as captured, gnomon.span("work") as span:
        span.set_input(value)
        span.set_output([value])
        span.set_attribute("k", value)
    attributes = attributes_of(captured, "work")
    assert all(0 < len(str(attributes[key])) < 300_000 for key in ("gnomon.input", "gnomon.output", "k"))
    json.loads(attributes["gnomon.output"])


def test_a_kind_that_does_not_exist_raises_under_test_only(caplog: pytest.LogCaptureFixture) -> None:
    with (
        testing.capture() as captured,
        pytest.raises(ValueError, match="kind must be one of generation"),
        gnomon.span("a", kind="magic"),
    ):
        pass
    gnomon.init(endpoint="http://127.0.0.1:9", instrument="none", exit_timeout_s=0.1)
    with gnomon.span("a", kind="magic") as span:
        assert span.trace_id
    assert "kind must be one of" in caplog.text
    assert captured.spans == []


def test_methods_after_the_end_do_nothing() -> None:
    with testing.capture() as captured:
        with gnomon.span("work") as span:
            pass
        span.set_output("late")
        span.record_error(ValueError("late"))
    assert attributes_of(captured, "work") == {"gnomon.span.kind": "step"}


def test_content_can_be_switched_off() -> None:
    with testing.capture(capture_content="none") as captured, gnomon.span("work") as span:
        span.set_input("secret")
        span.set_output("secret")
        span.set_attribute("figure", 1)
    assert attributes_of(captured, "work") == {"gnomon.span.kind": "step", "figure": 1}
