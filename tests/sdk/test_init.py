"""Starting, starting twice, starting beside an existing provider, switching off."""

import logging
import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry import trace
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, where no provider is set yet."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_init_twice_sends_each_span_once(collector: CollectorDouble, start: Start) -> None:
    start(service_name="first")
    start(service_name="second")
    with gnomon.span("work"):
        pass
    assert gnomon.flush()
    assert [span.name for span in collector.spans] == ["work"]
    assert collector.spans[0].resource["service.name"] == "first"


def test_init_again_after_shutdown_takes_the_new_settings(collector: CollectorDouble, start: Start) -> None:
    start(service_name="first", environment="test", release="7")
    assert gnomon.shutdown()
    start(service_name="second")
    with gnomon.span("work"):
        pass
    gnomon.flush()
    assert collector.span("work").resource["service.name"] == "second"


def test_everything_from_the_environment(collector: CollectorDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_ENDPOINT", collector.url)
    monkeypatch.setenv("GNOMON_API_KEY", "secret")
    monkeypatch.setenv("GNOMON_SERVICE_NAME", "by-env")
    monkeypatch.setenv("GNOMON_HEADERS", "x-team=llm")
    monkeypatch.setenv("GNOMON_INSTRUMENT", "none")
    gnomon.init()
    with gnomon.span("work"):
        pass
    gnomon.flush()
    assert collector.span("work").resource["service.name"] == "by-env"
    headers = collector.requests[0].headers
    assert (headers["Authorization"], headers["x-team"]) == ("Bearer secret", "llm")
    assert headers["Content-Type"] == "application/x-protobuf"


def test_beside_an_existing_provider(collector: CollectorDouble) -> None:
    run = run_python(
        """
        import gnomon
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        hosts = InMemorySpanExporter()
        provider = TracerProvider(resource=Resource({"service.name": "host", "team": "a"}))
        provider.add_span_processor(SimpleSpanProcessor(hosts))
        trace.set_tracer_provider(provider)
        gnomon.init("mine", environment="e2e")
        assert trace.get_tracer_provider() is provider
        with trace.get_tracer("host").start_as_current_span("GET /"):
            with gnomon.span("answer"):
                pass
        print([span.name for span in hosts.get_finished_spans()])
        provider.shutdown()
        """,
        GNOMON_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="ignored-for-gnomon",
    )
    assert run.stdout.strip() == "['answer', 'GET /']"
    span = collector.span("answer")
    assert span.parent_span_id
    # What was said to Gnomon wins over the host's resource, the rest of which stays.
    assert (span.resource["service.name"], span.resource["team"]) == ("mine", "a")
    assert span.resource["deployment.environment.name"] == "e2e"
    assert [span.name for span in collector.spans] == ["answer"]


def test_the_hosts_resource_stays_when_gnomon_was_told_nothing(collector: CollectorDouble) -> None:
    run_python(
        """
        import gnomon
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider(resource=Resource({"service.name": "host"})))
        gnomon.init()
        with gnomon.span("answer"):
            pass
        """,
        GNOMON_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="of-the-environment",
    )
    assert collector.span("answer").resource["service.name"] == "host"


def test_beside_a_provider_that_takes_no_processors(collector: CollectorDouble) -> None:
    run_python(
        """
        import gnomon
        from opentelemetry import trace

        class OtherVendor(trace.NoOpTracerProvider):
            pass

        trace.set_tracer_provider(OtherVendor())
        gnomon.init("mine")
        with gnomon.span("answer"):
            pass
        """,
        GNOMON_ENDPOINT=collector.url,
    )
    assert collector.span("answer").resource["service.name"] == "mine"


def test_without_a_provider_gnomons_becomes_the_hosts(collector: CollectorDouble) -> None:
    run = run_python(
        """
        import gnomon
        from opentelemetry import trace

        gnomon.init("mine", release="1.2", environment="prod")
        with trace.get_tracer("any").start_as_current_span("chat", attributes={"llm.x": 1}):
            print(gnomon.current_trace_id())
        """,
        GNOMON_ENDPOINT=collector.url,
    )
    span = collector.span("chat")
    assert run.stdout.strip() == span.trace_id
    assert (span.resource["service.version"], span.resource["deployment.environment.name"]) == ("1.2", "prod")
    assert span.resource["telemetry.distro.name"] == "gnomon"


def test_only_genai_spans_leave_by_default(collector: CollectorDouble, start: Start) -> None:
    start()
    tracer = trace.get_tracer("http-instrumentation")
    with gnomon.session(user="u", session="s", prompt="p@1", tags=["t"], metadata={"k": "v"}):
        with tracer.start_as_current_span("GET /", attributes={"http.request.method": "GET"}):
            pass
        with tracer.start_as_current_span("chat", attributes={"llm.model_name": "m"}):
            pass
    gnomon.flush()
    assert [span.name for span in collector.spans] == ["chat"]


def test_spans_of_known_scopes_leave_without_a_known_attribute(
    collector: CollectorDouble, start: Start
) -> None:
    start()
    with trace.get_tracer("langfuse-sdk").start_as_current_span("step"):
        pass
    gnomon.flush()
    assert collector.span("step").scope == "langfuse-sdk"


def test_all_spans_leave_on_request(collector: CollectorDouble, start: Start) -> None:
    start(export_all_spans=True)
    with trace.get_tracer("http-instrumentation").start_as_current_span("GET /"):
        pass
    gnomon.flush()
    assert [span.name for span in collector.spans] == ["GET /"]


@pytest.mark.parametrize("variable", ["GNOMON_ENABLED", "OTEL_SDK_DISABLED"])
def test_switched_off_nothing_happens(
    variable: str, collector: CollectorDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(variable == "OTEL_SDK_DISABLED").lower())
    start()
    with gnomon.span("work") as span:
        span.set_input("x")
        assert gnomon.feedback(True, trace_id="1" * 32)
    assert span.trace_id is None
    assert gnomon.flush()
    assert gnomon.shutdown()
    assert collector.requests == []
    assert gnomon.stats().enabled is False


def test_before_init_everything_passes_through() -> None:
    @gnomon.observe
    def double(x: int) -> int:
        return 2 * x

    with gnomon.session(user="u"), gnomon.span("work"):
        assert double(2) == 4
    assert gnomon.current_trace_id() is None


def test_an_unusable_setting_is_logged_and_the_rest_works(
    collector: CollectorDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    start(queue_bytes="plenty")
    with gnomon.span("work"):
        pass
    gnomon.flush()
    assert "gnomon.init(queue_bytes=…) must be a whole number" in caplog.text
    assert collector.span("work")


def test_one_line_says_what_runs(
    collector: CollectorDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gnomon")
    start(instrument="auto", api_key="s3cret-key")
    lines = [record.getMessage() for record in caplog.records if record.name == "gnomon"]
    assert len(lines) == 1
    assert collector.url in lines[0]
    assert "openai (gnomon)" in lines[0]
    assert "s3cret-key" not in caplog.text


def test_a_provider_shut_down_by_the_host_takes_gnomon_along_in_time(collector: CollectorDouble) -> None:
    run = run_python(
        """
        import time
        import gnomon
        from opentelemetry import trace

        gnomon.init("mine")
        with gnomon.span("last"):
            pass
        trace.get_tracer_provider().shutdown()
        with gnomon.span("too late"):
            pass
        print(gnomon.stats().exported_spans, dict(gnomon.stats().dropped))
        """,
        GNOMON_ENDPOINT=collector.url,
    )
    assert run.stdout.strip() == "1 {'after_shutdown': 1}"
