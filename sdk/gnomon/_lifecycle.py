"""`gnomon.init` and its counterparts: start, flush, stop, numbers."""

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from gnomon._runtime import runtime
from gnomon._stats import Stats


def init(
    service_name: str | None = None,
    *,
    environment: str | None = None,
    release: str | None = None,
    endpoint: str | None = None,
    api_key: str | None = None,
    capture_content: Literal["all", "redacted", "none"] | None = None,
    mask: object = None,
    sample: float | None = None,
    baggage: bool | None = None,
    protocol: Literal["http", "grpc"] | None = None,
    feedback_endpoint: str | None = None,
    instrument: Literal["auto", "none"] | Sequence[str] | None = None,
    enabled: bool | None = None,
    export_all_spans: bool | None = None,
    headers: Mapping[str, str] | None = None,
    queue_bytes: int | None = None,
    queue_spans: int | None = None,
    max_export_bytes: int | None = None,
    max_value_chars: int | None = None,
    export_interval_s: float | None = None,
    request_timeout_s: float | None = None,
    exit_timeout_s: float | None = None,
    compression: Literal["auto", "gzip", "none"] | None = None,
    certificate_file: str | os.PathLike[str] | None = None,
) -> None:
    """Start sending what this process does with LLMs to a Gnomon collector.

    Installed GenAI instrumentors are activated, spans of an existing OpenTelemetry setup are shared, and
    everything leaves on a background thread. Calling it again does nothing; it never raises.

    Every argument may also come from the environment, as ``GNOMON_`` + its name in capitals, then from the
    standard ``OTEL_*`` variables; an argument wins. An unusable value is logged and its default used.

    Args:
        service_name: name of the service.
        environment: such as ``production``.
        release: version of the service.
        endpoint: base URL of the collector, ``http://127.0.0.1:4318`` by default.
        api_key: key with the ingest scope.
        capture_content: ``"all"`` records prompts, answers, arguments and results; ``"redacted"`` the same
            with personal data masked before it leaves the process; ``"none"`` only figures.
        mask: what to mask in every text that leaves the process: a function ``mask(text) -> text`` or
            patterns; see the guide on masking.
        sample: share of traces that is sent, from 0 to 1, chosen by trace id.
        baggage: hand the session on to the services that are called, and take it over from callers.
        protocol: ``"http"``, or ``"grpc"`` with ``gnomon[grpc]``.
        feedback_endpoint: base URL feedback is posted to, where that is not the endpoint.
        instrument: ``"auto"`` for every installed GenAI instrumentor, ``"none"``, or ``["openai", …]``.
        enabled: False makes this call, and all others, do nothing.
        export_all_spans: send HTTP, database and other spans too.
        headers: further request headers.
        queue_bytes: memory that unsent spans may take, in bytes.
        queue_spans: how many unsent spans are kept.
        max_export_bytes: size of one request before compression, in bytes.
        max_value_chars: how much of one captured value is kept, in characters.
        export_interval_s: how long finished spans wait for company, in seconds; up to four times that while
            more keep coming.
        request_timeout_s: how long one request may take, in seconds.
        exit_timeout_s: how long the end of the process may be delayed, in seconds.
        compression: ``"gzip"``, ``"none"``, or ``"auto"``: gzip, except to this very machine.
        certificate_file: PEM file with the authority that signed the collector's certificate.
    """
    arguments = dict(locals())
    with runtime.guard.harmless("init"):
        runtime.start(arguments)


def flush(timeout_s: float = 5.0) -> bool:
    """Send what is queued now, waiting at most ``timeout_s`` seconds.

    For places where the process may be frozen or killed right after: serverless handlers, notebooks, workers.

    Returns:
        Whether everything queued before was accepted or given up within that time.
    """
    client = runtime.client
    if client is None:
        return True
    with runtime.guard.harmless("flush"):
        return client.sink.flush(timeout_s)
    return False


def shutdown(timeout_s: float | None = None) -> bool:
    """Send what is left for at most ``timeout_s`` seconds (the exit timeout by default), then stop.

    Instrumentors that `init` activated are taken out again; `init` may be called anew.

    Returns:
        Whether nothing was lost.
    """
    with runtime.guard.harmless("shutdown"):
        return runtime.stop(timeout_s)
    return False


def stats() -> Stats:
    """Return what was sent, kept, retried and lost so far in this process (after `shutdown`: in all)."""
    return runtime.stats()
