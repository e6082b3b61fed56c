"""``make bench-sdk``: what an SDK adds to the calls of the service that carries it, Gnomon and its peers.

Every library runs in a virtualenv of its own, with the openai client its dependencies allow, against one
stand-in provider and one stand-in collector. The processes take turns of a few calls each; a bare client runs
in every one of the virtualenvs as well, and what a library *adds* is its figure less that of the bare client
with the same packages.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.gnomon_server import BenchError
from tests.bench.machine import ROOT, this_machine
from tests.bench.peer_servers import cache_dir
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Report, save
from tests.bench.sdk_report import KINDS, Measured, goals_of, notes_of, tables_of

WORKLOAD: Final = ROOT / "tests" / "bench" / "sdk_workload.py"
_ROUND: Final = 10
_WARM_UP: Final = 30
"""Calls of each kind before those that count, the same for everybody: Python specialises code on its way."""
_EXIT_LIMIT_S: Final = 60.0
_INSTALL_LIMIT_S: Final = 900.0


@dataclass(frozen=True)
class Library:
    """An SDK under test: what pip installs for it, and the module a service imports."""

    name: str
    title: str
    requirements: tuple[str, ...]
    module: str


_OPENLITS: Final = (
    *("opentelemetry-sdk==1.44.0", "opentelemetry-exporter-otlp==1.44.0"),
    *(
        f"opentelemetry-instrumentation{name}==0.65b0"
        for name in (
            *("", "-aiohttp-client", "-asgi", "-django", "-falcon", "-fastapi", "-flask", "-httpx"),
            *("-pyramid", "-requests", "-starlette", "-tornado", "-urllib", "-urllib3"),
        )
    ),
)
"""Left to itself pip tries releases of these for more than a quarter of an hour."""
GNOMON: Final = Library("gnomon", "Gnomon", (f"{ROOT}[openai]",), "gnomon")
LIBRARIES: Final = (
    GNOMON,
    Library(
        "opentelemetry",
        "OpenTelemetry (genai-openai)",
        (
            "opentelemetry-instrumentation-genai-openai==1.3b0",
            "opentelemetry-exporter-otlp-proto-http==1.45.2",
        ),
        "opentelemetry.instrumentation.genai.openai",
    ),
    Library(
        "openinference",
        "OpenInference",
        ("openinference-instrumentation-openai==0.1.66", "opentelemetry-exporter-otlp-proto-http==1.45.2"),
        "openinference.instrumentation.openai",
    ),
    Library("openllmetry", "OpenLLMetry", ("traceloop-sdk==0.45.6",), "traceloop.sdk"),
    Library("langfuse", "Langfuse", ("langfuse==5.0.4",), "langfuse"),
    Library("openlit", "OpenLIT", ("openlit==1.45.0", *_OPENLITS), "openlit"),
    Library("logfire", "Logfire", ("logfire==5.2.0",), "logfire"),
)


def install(library: Library) -> Path:
    """Make or refresh a library's virtualenv and return its Python.

    Raises:
        BenchError: pip failed.
    """
    home = cache_dir() / f"sdk-{library.name}"
    python = home / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = []
    installed = home / "ok"
    # With the Python it was made for: one that is gone leaves a virtualenv that cannot start.
    wanted = "\n".join((sys.version, *library.requirements))
    if not installed.exists() or installed.read_text() != wanted:
        print(f"Installing {' '.join(library.requirements)} into {home} ...", flush=True)
        commands = [
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [*pip, *library.requirements, "openai"],
        ]
    elif library is GNOMON:
        commands = [[*pip, "--no-deps", "--force-reinstall", str(ROOT)]]
    for command in commands:
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_INSTALL_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"pip took more than {_INSTALL_LIMIT_S:.0f} s") from None
        if answer.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{answer.stderr[-2000:]}")
    installed.write_text(wanted)
    return python


def install_all(libraries: Sequence[Library]) -> tuple[dict[Library, Path], list[str]]:
    """Install what can be; returns the Pythons, and a sentence for each library that cannot."""
    pythons, missing = {}, []
    for library in libraries:
        try:
            pythons[library] = install(library)
        except BenchError as error:
            missing.append(f"{library.title} could not be measured: {str(error)[:300]}")
            print(missing[-1], flush=True)
    return pythons, missing


@contextmanager
def servers() -> Iterator[str]:
    """Run the stand-in provider and collector; yields their address."""
    command = [sys.executable, "-m", "tests.bench.sdk_servers"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Driven:
    """A workload process that is told what to do line by line."""

    process: subprocess.Popen[str]
    hello: dict[str, Any]
    threads_us: dict[str, list[float]] = field(default_factory=dict)
    walls_us: dict[str, list[float]] = field(default_factory=dict)
    started_us: float = 0.0
    rss_mib: float = 0.0

    def tell(self, kind: str, count: int) -> dict[str, Any]:
        """Have it do some calls; returns what it says of them."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind} {count}\n")
        self.process.stdin.flush()
        reply = read_line(self.process)
        self.rss_mib = reply["rss_mib"]
        return reply

    def calls(self, kind: str, count: int) -> None:
        """Do some calls and keep their figures."""
        reply = self.tell(kind, count)
        self.threads_us.setdefault(kind, []).extend(reply["thread_us"])
        self.walls_us.setdefault(kind, []).extend(reply["wall_us"])

    def figures(self, kind: str, process_us: float) -> dict[str, float]:
        """Return the figures of all calls of a kind; ``process_us`` is the whole process' CPU in that time."""
        threads, walls = self.threads_us[kind], self.walls_us[kind]
        return {
            "thread_p50": quantile(threads, 0.5),
            "thread_p99": quantile(threads, 0.99),
            "wall_p50": quantile(walls, 0.5),
            "process": process_us / len(threads),
            # The caller's median, and the CPU of all other threads of the process spread over the calls.
            "total_p50": quantile(threads, 0.5) + max(0.0, process_us - sum(threads)) / len(threads),
        }

    def exit(self) -> float:
        """End it the ordinary way; returns how long that took, in seconds."""
        assert self.process.stdin is not None
        started = time.monotonic()
        self.process.stdin.close()
        try:
            self.process.wait(_EXIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return time.monotonic() - started


def read_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line of JSON of a process; raises BenchError when it ended."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise BenchError(f"{process.args} ended with {process.wait()}")


@contextmanager
def driven(python: Path, library: str, provider: str, collector: str) -> Iterator[Driven]:
    """Run the workload of a library."""
    command = [str(python), str(WORKLOAD), library, "--provider", f"{provider}/v1", "--collector", collector]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "GNOMON_")) and not name.lower().endswith("_proxy")
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        try:
            try:
                hello = read_line(process)
            except BenchError as error:
                log.seek(0)
                raise BenchError(f"{error}:\n{log.read()[-2000:].decode(errors='replace')}") from None
            yield Driven(process, hello)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def import_seconds(python: Path, module: str, tries: int = 5) -> float:
    """Return how long importing a module takes in a fresh process, the best of some tries."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True) for _ in range(tries)
    ]
    return min(float(run.stdout.split()[-1]) for run in runs)


def versions(python: Path, names: Sequence[str]) -> str:
    """Return the installed versions of some distributions, as text."""
    code = (
        "from importlib.metadata import version, PackageNotFoundError\n"
        f"for name in {list(names)!r}:\n"
        "    try: print(name, version(name))\n"
        "    except PackageNotFoundError: pass"
    )
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return ", ".join(run.stdout.split("\n")[:-1])


def counted_bytes(server: str) -> int:
    """Ask the stand-in collector how many bytes it got so far."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server}/counted", timeout=10) as answer:
        return int(json.load(answer)["bytes"])


def measure_costs(pythons: dict[Library, Path], counts: dict[str, int], found: dict[str, Measured]) -> None:
    """Drive every library and its bare client in turns, one kind of call after the other."""
    with servers() as server, ExitStack() as stack:
        pairs = {
            library: (
                stack.enter_context(driven(python, library.name, server, server)),
                stack.enter_context(driven(python, "bare", server, server)),
            )
            for library, python in pythons.items()
        }
        for kind in KINDS:
            _drive(pairs, kind, counts[kind], found)
        for library, (with_it, _) in pairs.items():
            found[library.name].start_s = with_it.hello["start_s"]


def _drive(
    pairs: dict[Library, tuple[Driven, Driven]], kind: str, count: int, found: dict[str, Measured]
) -> None:
    print(f"{kind} ...", flush=True)
    both = [process for pair in pairs.values() for process in pair]
    for process in both:
        process.tell(kind, _WARM_UP)
        process.started_us = process.tell("flush", 1)["process_us"]
    for _ in range(count // _ROUND):
        for process in both:
            process.calls(kind, _ROUND)
    ended = {id(process): process.tell("flush", 1)["process_us"] for process in both}
    for library, (with_it, bare) in pairs.items():
        measured = found[library.name]
        measured.calls[kind] = with_it.figures(kind, ended[id(with_it)] - with_it.started_us)
        measured.bare[kind] = bare.figures(kind, ended[id(bare)] - bare.started_us)


def measure_memory(library: Library, python: Path, calls: int, measured: Measured) -> None:
    """Memory before and after many calls, bytes sent, and the delay at exit."""
    print(f"{library.title}: {calls} calls ...", flush=True)
    with servers() as server, driven(python, library.name, server, server) as process:
        before = counted_bytes(server)
        process.tell("chat", calls)
        measured.rss_mib, measured.rss_after_mib = process.hello["rss_mib"], process.rss_mib
        process.tell("flush", 1)
        measured.exit_s["well"] = process.exit()
        measured.bytes_per_call = (counted_bytes(server) - before) / calls


def measure_faults(library: Library, python: Path, measured: Measured) -> None:
    """Cost per call and delay at exit with a collector that is not there, and with one that hangs."""
    with servers() as server, socket.create_server(("127.0.0.1", 0)) as hanging, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        for state, port in (("dead", dead.getsockname()[1]), ("hangs", hanging.getsockname()[1])):
            print(f"{library.title}: collector {state} ...", flush=True)
            with driven(python, library.name, server, f"http://127.0.0.1:{port}") as process:
                process.calls("chat", 200)
                measured.dead_cpu_us[state] = quantile(process.threads_us["chat"], 0.5)
                measured.exit_s[state] = process.exit()


def run(options: argparse.Namespace) -> Report:
    """Measure everybody and report."""
    started = time.monotonic()
    machine = this_machine(ROOT)
    chosen = [library for library in LIBRARIES if library is GNOMON or library.name in options.libraries]
    pythons, missing = install_all(chosen)
    found = {
        library.name: Measured(
            library.title,
            versions(python, [*(name.split("==")[0] for name in library.requirements), "gnomon", "openai"]),
            import_seconds(python, library.module),
        )
        for library, python in pythons.items()
    }
    measure_costs(pythons, {kind: options.count // _divisor(kind) for kind in KINDS}, found)
    for library, python in pythons.items():
        measure_memory(library, python, options.memory_calls, found[library.name])
        measure_faults(library, python, found[library.name])
    return Report(
        name="sdk",
        title="What an SDK costs the service that carries it",
        command=f"python -m tests.bench.sdk --count {options.count} --memory-calls {options.memory_calls}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=goals_of(list(found.values())),
        tables=tables_of(list(found.values())),
        notes=[
            *notes_of(list(found.values()), options.count, options.memory_calls, _ROUND, _EXIT_LIMIT_S),
            *missing,
        ],
        raw={"results": [asdict(measured) for measured in found.values()]},
    )


def _divisor(kind: str) -> int:
    return 4 if "stream" in kind else 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=2_000, help="calls of each kind for each; streams a quarter (2000)"
    )
    parser.add_argument("--memory-calls", type=int, default=10_000, help="calls for memory (10000)")
    names = [library.name for library in LIBRARIES if library is not GNOMON]
    parser.add_argument("--libraries", nargs="*", default=names, choices=names, help="beside Gnomon")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    report = run(options)
    for goal in report.goals:
        print(f"{goal.what}: {goal.measured}")
    print(save(report, options.reports))


if __name__ == "__main__":
    main()
