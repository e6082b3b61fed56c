"""What `import gnomon` offers, and what it costs."""

import subprocess
import sys

import pytest

import gnomon
from gnomon import testing


def test_the_exported_names_are_pinned() -> None:
    assert gnomon.__all__ == [
        "CheckFailedError",
        "Masking",
        "Shadow",
        "Stats",
        "acheck",
        "agent",
        "allow",
        "attempt",
        "cache",
        "carry",
        "check",
        "check_stream",
        "checks",
        "continued",
        "current_trace_id",
        "fallback",
        "feedback",
        "flush",
        "guard",
        "headers",
        "init",
        "llm_call",
        "observe",
        "observe_fallbacks",
        "prompt",
        "retrieval",
        "retrying",
        "session",
        "shutdown",
        "span",
        "stats",
        "tool",
    ]
    assert testing.__all__ == ["Captured", "capture"]


def test_every_exported_name_exists_and_is_documented() -> None:
    for name in gnomon.__all__:
        assert getattr(gnomon, name).__doc__, name


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert gnomon.__version__ == version("gnomon")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'spam'"):
        gnomon.spam  # noqa: B018


def test_importing_gnomon_loads_neither_the_sdk_nor_anything_of_the_server() -> None:
    heavy = [
        "opentelemetry.sdk",
        "requests",
        "http.client",
        "openai",
        "google.protobuf",
        "asyncio",
        "chdb",
        "dash",
    ]
    code = f"import gnomon, sys; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_starting_gnomon_leaves_importing_the_instrumented_library_to_the_host() -> None:
    code = (
        "import gnomon, sys; gnomon.init('x', endpoint='http://127.0.0.1:9'); print('openai' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
