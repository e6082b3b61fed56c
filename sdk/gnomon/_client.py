"""Puts the parts together: settings, exporter, provider, processor, instrumentors."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from gnomon._errors import SettingError
from gnomon._exporter import Exporter
from gnomon._guard import Guard, logger
from gnomon._identity import resource_of
from gnomon._instrument import Instrumentation, content_switches
from gnomon._libraries import EXTRAS
from gnomon._limits import Limits
from gnomon._openai import OpenAIInstrumentation, Recorder
from gnomon._openai_fields import Reading
from gnomon._processor import GnomonSpanProcessor
from gnomon._retries_clients import ClientRetries
from gnomon._scrub import find_mask
from gnomon._servers import UvicornExit
from gnomon._settings import Settings, resolve
from gnomon._sink import Sink
from gnomon._transport import HttpTransport, SplitTransport, Transport
from gnomon._version import version

if TYPE_CHECKING:
    from gnomon._fixed import Fixed

_MAX_ATTRIBUTES = 2_048
"""OpenInference spells a conversation as one attribute per part; OpenTelemetry's 128 would lose its start."""


@dataclass
class Client:
    """A running Gnomon."""

    settings: Settings
    sink: Sink
    tracer: trace.Tracer
    processor: GnomonSpanProcessor
    instrumentation: Instrumentation
    _environment: dict[str, str | None] = field(default_factory=dict)
    retries: ClientRetries | None = None
    uvicorn: UvicornExit | None = None
    limits: Limits | None = None

    @property
    def captures_content(self) -> bool:
        """Whether arguments, results and messages may be recorded."""
        return self.settings.capture_content != "none"

    def close_sink(self, timeout_s: float | None) -> bool:
        """Send what is left, by default for at most the exit timeout."""
        return self.sink.close(self.settings.exit_timeout_s if timeout_s is None else timeout_s)

    def stop(self, timeout_s: float | None) -> bool:
        """Take everything out of the host again; returns whether nothing was lost."""
        self.instrumentation.stop()
        if self.uvicorn is not None:
            self.uvicorn.stop()
        if self.retries is not None:
            self.retries.stop()
        complete = self.close_sink(timeout_s)
        self.processor.disconnect()
        _restore_environment(self._environment)
        return complete


def start_client(
    arguments: Mapping[str, object], guard: Guard, sink: Sink | None, fixed: "Fixed | None" = None
) -> Client | None:
    """Start Gnomon; returns None when it is switched off.

    Args:
        arguments: what was passed to `gnomon.init`.
        guard: keeps faults away from the host.
        sink: takes spans instead of the exporter, in tests.
        fixed: clock and ids instead of the real ones, in tests.
    """
    settings, problems = resolve(arguments, os.environ)
    for problem in problems:
        _complain(guard, problem)
    if not settings.enabled:
        logger.info("gnomon: switched off by setting")
        return None
    if sink is None:
        sink = Exporter(
            settings,
            lambda: make_transport(settings),
            guard,
            find_mask(settings, guard),
        )
    provider = _provider(settings)
    processor = _processor_on(provider, guard)
    processor.connect(sink, settings, fixed.clock if fixed else None)
    environment = _set_environment(content_switches(settings.capture_content, os.environ))
    instrumentation = Instrumentation(guard, provider, {"openai": _own_openai(settings, provider, guard)})
    instrumentation.start(settings.instrument, _switched_off())
    client = Client(
        settings, sink, provider.get_tracer("gnomon", version()), processor, instrumentation, environment
    )
    if settings.instrument:
        client.retries = ClientRetries(guard)
        client.retries.start()
    client.uvicorn = UvicornExit(lambda: sink.flush(settings.exit_timeout_s), guard)
    client.uvicorn.start()
    if fixed is not None:
        fixed.use_ids_on(provider)
    _say_what_runs(client)
    return client


def _own_openai(settings: Settings, provider: TracerProvider, guard: Guard) -> OpenAIInstrumentation:
    tracer = provider.get_tracer("gnomon.openai", version())
    captures = settings.capture_content != "none"
    return OpenAIInstrumentation(Recorder(tracer, guard, Reading(captures, settings.max_value_chars)))


def make_transport(settings: Settings) -> Transport:
    """Return how requests leave the process, by the protocol.

    Raises:
        SettingError: gRPC is asked for and not installed.
    """
    feedback = HttpTransport(settings.feedback_endpoint, settings.certificate_file)
    if settings.protocol == "grpc":
        from gnomon._grpc import GrpcTransport

        grpc = GrpcTransport(settings.endpoint, settings.certificate_file)
        return SplitTransport(settings.traces_path, grpc, feedback)
    if settings.feedback_endpoint == settings.endpoint:
        return feedback
    http = HttpTransport(settings.endpoint, settings.certificate_file)
    return SplitTransport(settings.traces_path, http, feedback)


def _complain(guard: Guard, problem: str) -> None:
    if guard.raising:
        raise SettingError(problem)
    logger.warning("gnomon: %s", problem)


def _provider(settings: Settings) -> TracerProvider:
    """The host's provider where there is one, else ours, made the host's."""
    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        return existing
    own = TracerProvider(
        resource=Resource.create(
            {
                **resource_of(settings),
                "telemetry.distro.name": "gnomon",
                "telemetry.distro.version": version(),
            }
        ),
        # Gnomon ends itself, in a bounded time.
        shutdown_on_exit=False,
        span_limits=_span_limits(),
        sampler=ParentBased(TraceIdRatioBased(settings.sample)) if settings.sample < 1 else None,
    )
    if isinstance(existing, trace.ProxyTracerProvider):
        trace.set_tracer_provider(own)
    else:
        logger.info(
            "gnomon: the process has a %s that takes no span processors; Gnomon works beside it",
            type(existing).__name__,
        )
    return own


def _span_limits() -> SpanLimits:
    by_environment = {OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, OTEL_ATTRIBUTE_COUNT_LIMIT} & set(os.environ)
    return SpanLimits() if by_environment else SpanLimits(max_span_attributes=_MAX_ATTRIBUTES)


def _processor_on(provider: TracerProvider, guard: Guard) -> GnomonSpanProcessor:
    """The processor an earlier `gnomon.init` left on the provider, or a new one."""
    processors: tuple[SpanProcessor, ...] = getattr(provider._active_span_processor, "_span_processors", ())
    for processor in processors:
        if isinstance(processor, GnomonSpanProcessor):
            return processor
    processor = GnomonSpanProcessor(guard)
    provider.add_span_processor(processor)
    return processor


def _switched_off() -> list[str]:
    return os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")


def _set_environment(values: Mapping[str, str]) -> dict[str, str | None]:
    """Set variables that instrumentors read; returns what they were before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    return before


def _restore_environment(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _say_what_runs(client: Client) -> None:
    settings, instrumentation = client.settings, client.instrumentation
    for library in instrumentation.missing:
        extra = f"pip install 'gnomon[{library}]'" if library in EXTRAS else "install one"
        logger.warning(
            "gnomon: no instrumentor for %s is installed, its calls are not seen: %s", library, extra
        )
    logger.info(
        "gnomon %s: sending to %s; content: %s; instrumented: %s",
        version(),
        settings.endpoint,
        settings.capture_content,
        "; ".join(instrumentation.active + instrumentation.waiting) or "nothing",
    )
