"""The SDKs as they are on their packages' index today, against a live collector and the stand-in provider.

Each has an environment of its own. What the client saw is the truth: calls, tokens, errors, and that the Russian
question is found by what was asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.workload import QUESTION_RU
from tests.demo.conftest import serving
from tests.ingest.server_process import ServerProcess

from gnomon_collector.demo.provider import make_provider_app

WORKLOAD = Path(__file__).parent / "workload.py"
INSTALL_TIMEOUT_S = 600
RUN_TIMEOUT_S = 120
OTEL = ("openai", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")


@dataclass(frozen=True)
class Sdk:
    """An SDK: what to install, and what it says otherwise than the client saw."""

    packages: tuple[str, ...]
    dialect: str
    otherwise: dict[str, Any] = field(default_factory=dict)


SDKS = {
    "openinference": Sdk((*OTEL, "openinference-instrumentation-openai"), "openinference"),
    "openllmetry": Sdk((*OTEL, "opentelemetry-instrumentation-openai"), "openllmetry"),
    "langfuse": Sdk(("openai", "langfuse"), "langfuse"),
    "logfire": Sdk(("openai", "logfire"), "logfire"),
    "openlit": Sdk(("openai", "openlit"), "openlit"),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("live") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def provider_url() -> Iterator[str]:
    with serving(make_provider_app(seed=7, latency_scale=0.02, error_rate=0.0)) as url:
        yield url


def installed(name: str, home: Path) -> Path:
    """Return the interpreter of an environment with the SDK; GNOMON_SDK_ENVIRONMENTS names a place to keep them."""
    place = Path(os.environ.get("GNOMON_SDK_ENVIRONMENTS") or home) / name
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        subprocess.run([*pip, *SDKS[name].packages], check=True, timeout=INSTALL_TIMEOUT_S)
        (place / "installed").touch()
    return python


def environment(server: ServerProcess, key: str) -> dict[str, str]:
    """The settings a user would make, for any of the SDKs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GNOMON_", "OTEL_"))}
    return own | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {key}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "shop",
        "LANGFUSE_HOST": server.url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-gnomon",
        "LANGFUSE_SECRET_KEY": key,
        "NO_PROXY": "127.0.0.1",
    }


@pytest.mark.parametrize("name", SDKS)
def test_a_service_is_counted_as_it_was(
    server: ServerProcess, provider_url: str, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    sdk = SDKS[name]
    python = installed(name, tmp_path_factory.mktemp("environments"))
    done = subprocess.run(
        [str(python), str(WORKLOAD), name, provider_url],
        env=environment(server, server.key(name)), capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    truth = json.loads(done.stdout.splitlines()[-1])

    server.wait_until_written()
    (counted,) = server.query(
        "SELECT count() AS calls, sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,"
        f" countIf(c.status = 'error') AS errors FROM calls AS c WHERE project = '{name}'"
    )
    assert counted == truth | sdk.otherwise
    calls = server.query(f"SELECT * FROM calls WHERE project = '{name}' ORDER BY start_time")
    assert {call["dialect"] for call in calls} == {sdk.dialect}
    assert {call["kind"] for call in calls} == {"generation", "embedding"}
    assert [call["input_text"] for call in calls if call["input_text"] == QUESTION_RU] == [QUESTION_RU]
    unpriced = [call for call in calls if call["usage_source"] != "none" and not call["cost_usd"]]
    assert [(call["name"], call["provider"], call["model"]) for call in unpriced] == []
