"""Runs the services of SDKs, each in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.conformance.sdks import Sdk

SERVICES: Final = Path(__file__).parent / "services"
INSTALL_TIMEOUT_S: Final = 900
RUN_TIMEOUT_S: Final = 240


class UnavailableError(Exception):
    """Raised where the packages of an SDK cannot be had here; the message says why."""


def environments() -> Path:
    """Return where environments are kept; GNOMON_SDK_ENVIRONMENTS names another place."""
    return Path(os.environ.get("GNOMON_SDK_ENVIRONMENTS") or Path.home() / ".cache" / "gnomon-sdks")


def prepared(name: str, sdk: Sdk) -> Path:
    """Return the environment of an SDK, made anew when its packages changed.

    Raises:
        UnavailableError: node is not installed, or the packages cannot be installed.
    """
    place = environments() / name
    wanted = "\n".join(sdk.packages)
    mark = place / "installed.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for command in _installing(place, sdk):
        _run_installer(command, place, name)
    mark.write_text(wanted, encoding="utf-8")
    return place


def _installing(place: Path, sdk: Sdk) -> list[list[str]]:
    if sdk.is_node:
        (place / "package.json").write_text('{"type": "module", "private": true}', encoding="utf-8")
        return [["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *sdk.packages]]
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    return [[sys.executable, "-m", "venv", "--without-pip", str(place)], [*pip, *sdk.packages]]


def _run_installer(command: list[str], place: Path, name: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=place, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{name} cannot be installed here: {error}") from error
    if done.returncode:
        raise UnavailableError(f"{name} cannot be installed here: {done.stderr.strip()[-500:]}")


def play(name: str, sdk: Sdk, *, provider_url: str, otlp_url: str, key: str) -> str:
    """Play all scenarios of an SDK and return what its service wrote to stderr.

    Raises:
        UnavailableError: see `prepared`.
        subprocess.CalledProcessError: the service ended with an error.
    """
    place = prepared(name, sdk)
    done = subprocess.run(
        [*_command(place, sdk), provider_url],
        env=_environment(sdk, otlp_url, key),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the service of {name} failed: {done.stderr[-3000:]}")
    return done.stderr


def _command(place: Path, sdk: Sdk) -> list[str]:
    if not sdk.is_node:
        return [str(place / "bin" / "python"), str(SERVICES), sdk.service]
    for file in (SERVICES / "node").glob("*.mjs"):  # node looks for packages beside a module
        shutil.copy(file, place)
    return ["node", str(place / sdk.service)]


def _environment(sdk: Sdk, otlp_url: str, key: str) -> dict[str, str]:
    """The settings a user would make, for any of the SDKs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GNOMON_", "OTEL_"))}
    return own | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {key}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "shop",
        "LANGFUSE_HOST": otlp_url,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-gnomon",
        "LANGFUSE_SECRET_KEY": key,
        "NO_PROXY": "127.0.0.1",
        **{name: value.format(url=otlp_url, key=key) for name, value in sdk.settings.items()},
    }
