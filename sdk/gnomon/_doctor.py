"""``gnomon doctor``: is this process set up to be seen? Works with the SDK alone.

Each check is one line, and says what to do when it does not hold. Settings come from the environment as
`gnomon.init` takes them, so the command is run where the service runs: in its container, as its user.
"""

import argparse
import http.client
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Final, Literal

from gnomon._client import make_transport
from gnomon._errors import SettingError
from gnomon._instrument import GROUP, _is_installed, choose, find_candidates
from gnomon._libraries import EXTRAS, GENAI_LIBRARIES
from gnomon._runtime import runtime
from gnomon._settings import Settings, resolve
from gnomon._span import span
from gnomon._transport import Response
from gnomon._verdict import judge
from gnomon._version import version

State = Literal["ok", "warn", "fail"]
_TIMEOUT_S: Final = 5.0
_OWN: Final = frozenset({"openai"})
"""Libraries Gnomon records itself."""
_QUIET: Final = frozenset({"bedrock", "sagemaker", "transformers"})
"""Their modules are installed for other reasons too often to be worth a word."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do about it (empty: nothing)."""

    name: str
    state: State
    finding: str
    advice: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run all checks and print them; returns the exit code: 0 when the service will be seen, else 1."""
    options = _parser().parse_args(arguments)
    given = {name: value for name, value in vars(options).items() if value is not None}
    print(f"gnomon {version()}, Python {sys.version.split()[0]}")
    failed = False
    for check in examine(given, os.environ):
        failed = failed or check.state == "fail"
        print(f"{check.state:>4}  {check.name:<15} {check.finding}")
        if check.advice:
            print(f"{'':22}-> {check.advice}")
    return int(failed)


def examine(arguments: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks one by one; what makes the next ones pointless is the last."""
    settings, problems = resolve(arguments, environ)
    yield from (Check("settings", "warn", problem) for problem in problems)
    yield _what_is_set(settings)
    yield from check_instrumentation(settings)
    if not settings.enabled:
        yield Check("enabled", "fail", "Gnomon is switched off", "unset GNOMON_ENABLED and OTEL_SDK_DISABLED")
        return
    connection = check_connection(settings)
    yield from connection
    if all(check.state != "fail" for check in connection):
        yield check_round_trip(arguments)


def check_connection(settings: Settings) -> list[Check]:
    """Ask the collector with a request that holds no spans: does it answer, and does it take the key?"""
    headers = {"Content-Type": "application/x-protobuf", **settings.headers}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    started_s = time.perf_counter()
    try:
        transport = make_transport(settings)
        response = transport.post(
            settings.traces_path, b"", headers, min(settings.request_timeout_s, _TIMEOUT_S)
        )
    except SettingError as error:
        return [Check("connection", "fail", str(error))]
    except (OSError, http.client.HTTPException) as error:
        return [_unreachable(settings, error)]
    took_ms = (time.perf_counter() - started_s) * 1_000
    reached = Check("connection", "ok", f"{settings.endpoint} answers in {took_ms:.0f} ms")
    return [reached, _key_check(settings, response)]


def _key_check(settings: Settings, response: Response) -> Check:
    verdict = judge(response, datetime.now(UTC))
    if verdict.action == "accept":
        said = f"{settings.api_key[:6]}… is taken" if settings.api_key else "none is needed here"
        return Check("key", "ok", said)
    if verdict.action == "retry":
        return Check("key", "warn", f"the collector answers {response.status}: it is busy, try again")
    if response.status in (401, 403):
        shown = f"{settings.api_key[:6]}…" if settings.api_key else "no key"
        return Check("key", "fail", f"{shown} is refused ({response.status})", verdict.advice)
    return Check("answer", "fail", f"HTTP status {response.status}", verdict.advice)


def _unreachable(settings: Settings, error: Exception) -> Check:
    advice = "start it with `gnomon serve`, or set GNOMON_ENDPOINT to where it is"
    if isinstance(error, TimeoutError):
        advice = "something takes the connection and does not answer: a firewall, a proxy, another service?"
    elif "certificate" in str(error).lower():
        advice = "set GNOMON_CERTIFICATE_FILE to the authority that signed the collector's certificate"
    elif any(name.lower().endswith("_proxy") for name in os.environ):
        advice += "; a proxy is set: is the collector's host in NO_PROXY?"
    return Check("connection", "fail", f"no answer from {settings.endpoint} ({type(error).__name__})", advice)


def check_round_trip(arguments: Mapping[str, object]) -> Check:
    """Send one span the way a service does, and wait until the collector has taken it."""
    started_s = time.perf_counter()
    runtime.start({**arguments, "instrument": "none", "sample": 1.0})
    with span("gnomon doctor", kind="event") as probe:
        trace_id = probe.trace_id
    client = runtime.client
    taken = client is not None and client.sink.flush(_TIMEOUT_S) and client.sink.stats().exported_spans > 0
    stats = runtime.stats()
    runtime.stop(0.0)
    took_ms = (time.perf_counter() - started_s) * 1_000
    if taken:
        return Check("round trip", "ok", f"a span was taken after {took_ms:.0f} ms: trace {trace_id}")
    why = stats.last_error or ", ".join(stats.dropped) or f"no answer within {_TIMEOUT_S:g} s"
    return Check("round trip", "fail", f"the span was not taken: {why}", "look at the collector's log")


def check_instrumentation(settings: Settings) -> list[Check]:
    """Say which libraries of this environment are seen, and which are not."""
    unwanted = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    chosen = choose(find_candidates(entry_points(group=GROUP)), settings.instrument, unwanted)
    installed = [name for name, module in GENAI_LIBRARIES.items() if _is_installed(module)]
    seen = [name for name in installed if name in chosen or (name in _OWN and settings.instrument)]
    unseen = [name for name in installed if name not in seen and name not in _QUIET]
    return [_seen_check(seen, chosen), *[_unseen_check(name, settings) for name in unseen]]


def _seen_check(seen: Sequence[str], chosen: Mapping[str, Sequence[object]]) -> Check:
    if not seen:
        return Check(
            "instrumented", "warn", "no LLM library", "gnomon.llm_call and gnomon.observe record by hand"
        )
    by_others = {name: str(candidates[0]) for name, candidates in chosen.items() if candidates}
    shown = [f"{name} (gnomon)" if name in _OWN else by_others[name] for name in seen]
    return Check("instrumented", "ok", "; ".join(shown))


def _unseen_check(library: str, settings: Settings) -> Check:
    if not settings.instrument or (library not in settings.instrument and "auto" not in settings.instrument):
        return Check("not asked for", "warn", library, "GNOMON_INSTRUMENT leaves it out")
    install = f"gnomon[{library}]" if library in EXTRAS else f"openinference-instrumentation-{library}"
    return Check(
        "not seen", "warn", f"{library} has no instrumentor", f"pip install '{install}', if there is one"
    )


def _what_is_set(settings: Settings) -> Check:
    service = settings.service_name or "unknown_service:python"
    finding = (
        f"service {service}; {settings.protocol} to {settings.endpoint}; content {settings.capture_content}; "
        f"sample {settings.sample:g}"
    )
    advice = "" if settings.service_name else "set GNOMON_SERVICE_NAME: charts are filtered by it"
    return Check("settings", "ok" if settings.service_name else "warn", finding, advice)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gnomon doctor",
        description="Check whether this environment is set up to be seen: settings, instrumented libraries, "
        "connection, key, and a round trip of one span. Run it where the service runs.",
        epilog="Settings come from GNOMON_* and OTEL_* variables, as in gnomon.init(). "
        "Exit codes: 0 the service will be seen, 1 it will not.",
    )
    parser.add_argument("--endpoint", metavar="URL", help="of the collector, instead of GNOMON_ENDPOINT")
    parser.add_argument("--api-key", metavar="KEY", help="instead of GNOMON_API_KEY")
    parser.add_argument("--protocol", choices=("http", "grpc"), help="instead of GNOMON_PROTOCOL")
    parser.add_argument("--service-name", metavar="NAME", help="instead of GNOMON_SERVICE_NAME")
    return parser
