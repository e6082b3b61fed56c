"""Which instrumentors are picked: one per library, the best family first, never an HTTP one."""

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.sdk.conftest import Start

import gnomon
from gnomon._instrument import GROUP, choose, content_switches, find_candidates
from gnomon._libraries import library_of


def install(
    folder: Path, package: str, name: str, target: str = "nowhere:Nothing", version: str = "1.0"
) -> None:
    """Write the metadata pip would leave behind."""
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")


def points_of(folder: Path) -> Iterator[EntryPoint]:
    for distribution in distributions(path=[str(folder)]):
        yield from distribution.entry_points.select(group=GROUP)


def chosen_in(
    folder: Path, wanted: tuple[str, ...] = ("auto",), unwanted: tuple[str, ...] = ()
) -> dict[str, str]:
    groups = choose(find_candidates(points_of(folder)), wanted, unwanted)
    return {library: candidates[0].package for library, candidates in groups.items()}


@pytest.mark.parametrize(
    ("package", "library"),
    [
        ("opentelemetry-instrumentation-genai-openai", "openai"),
        ("opentelemetry-instrumentation-openai-v2", "openai"),
        ("opentelemetry_instrumentation_openai", "openai"),
        ("openinference-instrumentation-llama-index", "llamaindex"),
        ("opentelemetry-instrumentation-llamaindex", "llamaindex"),
        ("opentelemetry-instrumentation-openai-agents-v2", "openaiagents"),
        ("opentelemetry-instrumentation-google-genai", "googlegenai"),
        ("opentelemetry-instrumentation-requests", None),
        ("opentelemetry-instrumentation-redis", None),
        ("opentelemetry-instrumentation-fastapi", None),
        ("some-other-package", None),
    ],
)
def test_which_library_a_package_is_for(package: str, library: str | None) -> None:
    found = library_of(package)
    assert (found.library if found else None) == library


def test_one_per_library_the_official_one_first(tmp_path: Path) -> None:
    install(tmp_path, "opentelemetry-instrumentation-openai", "openai")
    install(tmp_path, "openinference-instrumentation-openai", "openai")
    install(tmp_path, "opentelemetry-instrumentation-openai-v2", "openai")
    install(tmp_path, "opentelemetry-instrumentation-genai-openai", "openai")
    install(tmp_path, "openinference-instrumentation-anthropic", "anthropic")
    install(tmp_path, "opentelemetry-instrumentation-anthropic", "anthropic")
    install(tmp_path, "opentelemetry-instrumentation-cohere", "cohere")
    install(tmp_path, "opentelemetry-instrumentation-requests", "requests")
    assert chosen_in(tmp_path) == {
        "openai": "opentelemetry-instrumentation-genai-openai",
        "anthropic": "openinference-instrumentation-anthropic",
        "cohere": "opentelemetry-instrumentation-cohere",
    }


def test_only_what_is_asked_for_and_not_what_is_refused(tmp_path: Path) -> None:
    install(tmp_path, "openinference-instrumentation-llama-index", "llama_index")
    install(tmp_path, "openinference-instrumentation-openai", "openai")
    assert set(chosen_in(tmp_path, ("llama-index",))) == {"llamaindex"}
    assert set(chosen_in(tmp_path, ("LLAMA_INDEX", "openai"))) == {"llamaindex", "openai"}
    assert chosen_in(tmp_path, ()) == {}
    assert set(chosen_in(tmp_path, ("auto",), ("openai",))) == {"llamaindex"}


def test_content_goes_on_spans_unless_someone_said_otherwise() -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert content_switches("all", {})[name] == "SPAN_ONLY"
    assert name not in content_switches("all", {name: "SPAN_AND_EVENT"})
    off = content_switches("none", {name: "SPAN_ONLY"})
    assert (off[name], off["TRACELOOP_TRACE_CONTENT"], off["OPENINFERENCE_HIDE_INPUTS"]) == (
        "NO_CONTENT",
        "false",
        "true",
    )


def test_the_newest_dialect_is_asked_for_once() -> None:
    name = "OTEL_SEMCONV_STABILITY_OPT_IN"
    assert content_switches("all", {})[name] == "gen_ai_latest_experimental"
    assert content_switches("all", {name: "http"})[name] == "http,gen_ai_latest_experimental"
    assert name not in content_switches("all", {name: "gen_ai_latest_experimental"})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write_instrumentor(folder: Path, module: str, body: str) -> None:
    (folder / f"{module}.py").write_text(dedent(body))


BROKEN = """
    class Instrumentor:
        is_instrumented_by_opentelemetry = False
        def instrument(self, **kwargs):
            raise RuntimeError("incompatible")
"""
WRONG_VERSION = """
    class DependencyConflictError(Exception):
        pass
    class Instrumentor:
        def instrument(self, **kwargs):
            raise DependencyConflictError("needs cohere < 5")
"""
WORKING = """
    class Instrumentor:
        is_instrumented_by_opentelemetry = False
        def __new__(cls):
            cls.one = getattr(cls, "one", None) or super().__new__(cls)
            return cls.one
        def instrument(self, **kwargs):
            self.is_instrumented_by_opentelemetry = True
            self.seen = kwargs
        def uninstrument(self):
            self.is_instrumented_by_opentelemetry = False
"""


def log_of(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.name == "gnomon")


def test_the_next_family_steps_in_for_an_unknown_version(
    installed: Path, start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "gnomon")
    monkeypatch.setitem(sys.modules, "cohere", Any)
    write_instrumentor(installed, "gnomon_test_wrong", WRONG_VERSION)
    write_instrumentor(installed, "gnomon_test_working", WORKING)
    install(installed, "openinference-instrumentation-cohere", "cohere", "gnomon_test_wrong:Instrumentor")
    install(installed, "opentelemetry-instrumentation-cohere", "cohere", "gnomon_test_working:Instrumentor")
    start(instrument=["cohere"])
    assert "cohere (opentelemetry-instrumentation-cohere 1.0)" in log_of(caplog)
    instrumentor = sys.modules["gnomon_test_working"].Instrumentor()
    assert instrumentor.is_instrumented_by_opentelemetry
    assert "tracer_provider" in instrumentor.seen
    gnomon.shutdown()
    assert not instrumentor.is_instrumented_by_opentelemetry


def test_a_broken_instrumentor_harms_nothing(
    installed: Path, start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "groq", Any)
    write_instrumentor(installed, "gnomon_test_broken", BROKEN)
    install(installed, "openinference-instrumentation-groq", "groq", "gnomon_test_broken:Instrumentor")
    start(instrument=["groq"])
    with gnomon.span("still works") as span:
        assert span.trace_id
    assert "instrumenting groq failed: RuntimeError" in log_of(caplog)


def test_an_instrumentor_of_an_absent_library_is_left_out_in_silence(
    installed: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    install(installed, "openinference-instrumentation-haystack", "haystack")
    start(instrument=["haystack"])
    assert log_of(caplog) == ""


def test_a_library_is_instrumented_when_it_is_imported(
    installed: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gnomon")
    write_instrumentor(installed, "gnomon_test_late", WORKING)
    write_instrumentor(installed, "replicate", "")
    install(
        installed, "openinference-instrumentation-replicate", "replicate", "gnomon_test_late:Instrumentor"
    )
    start(instrument=["replicate"])
    assert "replicate (openinference-instrumentation-replicate 1.0) as soon as it is imported" in log_of(
        caplog
    )
    assert "gnomon_test_late" not in sys.modules
    __import__("replicate")
    assert sys.modules["gnomon_test_late"].Instrumentor().is_instrumented_by_opentelemetry


def test_a_library_without_an_instrumentor_is_pointed_out(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    start(instrument=["spam"])
    assert "no instrumentor for spam is installed, its calls are not seen" in log_of(caplog)


def test_openai_is_seen_without_any_instrumentor_installed(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "gnomon")
    monkeypatch.setattr("gnomon._instrument.entry_points", lambda group: [])
    start(instrument="auto")
    assert "instrumented: openai (gnomon)" in log_of(caplog)
