"""``python -m tests.conformance.record [SDK ...]``: run SDKs and keep what they sent under tests/captures/.

Writes the OTLP bodies of each scenario, and truth.json: what the stand-in provider answered meanwhile. What names
this machine is struck out.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.conformance.playing import UnavailableError, play
from tests.conformance.sdks import SDKS
from tests.conformance.wire import Scenario, Wire
from tests.demo.conftest import serving

ROOT: Final = Path(__file__).parents[2]
CAPTURES: Final = ROOT / "tests" / "captures"
KEPT: Final[dict[str, Any]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
FIGURES: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
_OF_MACHINE: Final = (
    "host.",
    "process.",
    "os.",
    "service.instance.id",
    "server.address",
    "server.port",
    "code.",
)
_TRACES_OF_CODE: Final = ("exception.stacktrace", "stacktrace")
_PATH: Final = re.compile(r"(?:/[\w.@+-]+){2,}/(?=[\w.-]+\.(?:py|m?js)\b)")


def main(names: Sequence[str]) -> int:
    """Record the SDKs named, all without names; returns 1 when one could not be."""
    failed = False
    for name in names or SDKS:
        wire = Wire()
        with serving(wire.app()) as url:
            try:
                said = play(name, SDKS[name], provider_url=url, otlp_url=url, key="k")
            except UnavailableError as error:
                print(error, file=sys.stderr)
                failed = True
                continue
        keep(CAPTURES / name, wire.scenarios)
        print(name, {scenario: len(found.calls) for scenario, found in wire.scenarios.items()}, said[-300:])
    return int(failed)


def keep(folder: Path, scenarios: dict[str, Scenario]) -> None:
    """Write what was sent in each scenario, and its truth; a scenario that left no spans is left out."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sent = {name: each for name, each in scenarios.items() if "traces" in each.sent}
    for name, each in sent.items():
        for signal, message in KEPT.items():
            if signal in each.sent:
                whole = message.FromString(b"".join(each.sent[signal]))  # repeated fields add up
                scrub(whole)
                (folder / f"{name}.{signal}.pb").write_bytes(whole.SerializeToString())
    truths = {name: truth(name, each.calls) for name, each in sent.items()}
    text = json.dumps(truths, ensure_ascii=False, indent=1)
    (folder / "truth.json").write_text(f"{text}\n", encoding="utf-8")


def truth(scenario: str, calls: Sequence[Any]) -> dict[str, Any]:
    """Return what happened in a scenario, as tests/captures has it; a client that went away has the call's usage not."""
    aborted = scenario.endswith("_abort")
    told = [] if aborted else calls
    return {
        "calls": len(calls),
        **{name: _sum(call.get(name) for call in told) for name in FIGURES},
        "errors": sum(call["status"] == "error" for call in told),
        "said": [{key: call[key] for key in ("model", "question", "answer", "tool_calls")} for call in told],
    }


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def scrub(message: Any) -> None:
    """Strike out of a message, and all within it, what tells of the machine it was recorded on."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        several = value if field.is_repeated else [value]
        if field.message_type.name == "KeyValue" and field.is_repeated:
            kept = [each for each in value if not each.key.startswith(_OF_MACHINE)]
            del value[:]
            value.extend(kept)
        for each in several:
            if field.message_type.name == "KeyValue":
                _scrub_value(each)
            else:
                scrub(each)


def _scrub_value(pair: Any) -> None:
    text = pair.value.string_value
    if pair.key in _TRACES_OF_CODE:
        # Python has what happened in the last line, JavaScript in the first
        lines = text.strip().splitlines() or [""]
        pair.value.string_value = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    elif text:
        pair.value.string_value = _PATH.sub("", text).replace(f"{ROOT}/", "")
    else:
        scrub(pair.value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
