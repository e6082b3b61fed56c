"""The demo around a running collector: provider and service as child processes, and the history sent once."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx

from gnomon_collector.demo.children import Child, free_port
from gnomon_collector.demo.sending import Progress, Sent, StoppedError, send_history
from gnomon_collector.errors import GnomonError

PROVIDER_MODULE: Final = "gnomon_collector.demo.provider"
SERVICE_MODULE: Final = "gnomon_collector.demo.service"
_START_S: Final = 20.0
_LOOK_AFTER_S: Final = 0.5
_LOG_TAIL_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Provider:
    """A running stand-in provider and its base URL, without `/v1`."""

    child: Child
    url: str

    def stop(self) -> None:
        self.child.stop()


def run_demo(
    endpoint: str,
    api_key: str,
    *,
    now: datetime,
    logs: Path,
    stop: threading.Event,
    history_days: int = 7,
    requests_per_second: float = 2.0,
    provider_port: int = 0,
    progress: Progress = lambda share: None,
    started: Callable[[], None] = lambda: None,
    history_sent: Callable[[Sent], None] = lambda sent: None,
) -> None:
    """Run provider and service against a running collector until `stop` is set; send the history meanwhile.

    Args:
        endpoint: base URL of the collector, such as `http://127.0.0.1:4318`.
        api_key: key with the ingest scope.
        now: where the history ends; aware.
        logs: directory for the children's log files.
        stop: set it (from a signal handler) to end everything; children get the time to send what is left.
        history_days: 0 sends no history, for a data directory that has it already.
        requests_per_second: messages a second that the service handles.
        provider_port: where the stand-in provider listens; 0 takes a free port.
        progress: called with the share of the history sent, 0 to 1.
        started: called once the service runs.
        history_sent: called once the history is in.

    Raises:
        GnomonError: a child does not start or ends by itself (the message has the end of its log), or the
            collector does not take the history.
    """
    with ExitStack() as stack:
        provider = start_provider(provider_port, logs=logs, substitutes=True)
        stack.callback(provider.stop)
        service = start_service(
            provider.url, endpoint, api_key, logs=logs, requests_per_second=requests_per_second
        )
        stack.callback(service.stop)
        started()
        if history_days > 0:
            try:
                history_sent(
                    send_history(endpoint, api_key, now=now, days=history_days, progress=progress, stop=stop)
                )
            except StoppedError:
                return
        look_after({"provider": provider.child, "service": service}, stop)


def start_provider(
    port: int = 0, *, logs: Path, error_rate: float = 0.04, substitutes: bool = False
) -> Provider:
    """Start the stand-in provider on 127.0.0.1 and wait until it answers.

    Args:
        port: 0 takes a free one.
        logs: directory for `provider.log`.
        error_rate: share of chat requests that fail, 0 to 1.
        substitutes: let another model answer for one, as it does at the end of the history.

    Raises:
        GnomonError: it did not answer within 20 s.
    """
    chosen = port or free_port()
    arguments = ["--port", str(chosen), "--error-rate", str(error_rate)]
    arguments += ["--substitutes"] if substitutes else []
    provider = Provider(
        Child(PROVIDER_MODULE, arguments, os.environ, logs / "provider.log"), f"http://127.0.0.1:{chosen}"
    )
    try:
        _wait_until_it_answers(provider)
    except BaseException:
        provider.stop()
        raise
    return provider


def start_service(
    provider_url: str, endpoint: str, api_key: str, *, logs: Path, requests_per_second: float = 2.0
) -> Child:
    """Start the shop assistant, its telemetry going to the collector at `endpoint`.

    Args:
        provider_url: base URL of the provider, without `/v1`.
        endpoint: base URL of the collector.
        api_key: key with the ingest scope; handed over in the environment, where `ps` does not show it.
        logs: directory for `service.log`.
        requests_per_second: messages a second that it handles.
    """
    arguments = ["--provider-url", provider_url, "--requests-per-second", str(requests_per_second)]
    environment = _service_environment(os.environ, endpoint, api_key)
    return Child(SERVICE_MODULE, arguments, environment, logs / "service.log")


def look_after(children: Mapping[str, Child], stop: threading.Event) -> None:
    """Wait until `stop` is set.

    Raises:
        GnomonError: one of `children` ended by itself; the message has the end of its log.
    """
    while not stop.wait(_LOOK_AFTER_S):
        for name, child in children.items():
            if child.exit_code() is not None and not stop.is_set():
                raise GnomonError(_ended(name, child))


def _service_environment(environ: Mapping[str, str], endpoint: str, api_key: str) -> dict[str, str]:
    # Somebody's own GNOMON_* and OTEL_* settings are meant for their services, not for the demo's.
    inherited = {
        name: value for name, value in environ.items() if not name.startswith(("GNOMON_", "OTEL_", "OPENAI_"))
    }
    return {**inherited, "GNOMON_ENDPOINT": endpoint, "GNOMON_API_KEY": api_key}


def _wait_until_it_answers(provider: Provider) -> None:
    give_up_s = time.monotonic() + _START_S
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while time.monotonic() < give_up_s:
            if provider.child.exit_code() is not None:
                break
            try:
                client.get(f"{provider.url}/v1/models").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.05)
    raise GnomonError(_ended("provider", provider.child))


def _ended(name: str, child: Child) -> str:
    tail = child.log.read_text(errors="replace")[-_LOG_TAIL_CHARS:].strip()
    state = (
        f"ended with exit code {child.exit_code()}" if child.exit_code() is not None else "does not answer"
    )
    return f"the demo's {name} {state}; its log {child.log} says: {tail or 'nothing'}"
