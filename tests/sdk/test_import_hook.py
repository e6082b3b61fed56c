"""Libraries are instrumented when they are imported, also where wrapt is not installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.collector_double import CollectorDouble

from gnomon._import_hook import watch_import


def test_it_acts_once_after_the_modules_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "gnomon_watched.py").write_text("value = 42\n")
    seen: list[int] = []
    watch_import("gnomon_watched", lambda: seen.append(sys.modules["gnomon_watched"].value))
    before = len(sys.meta_path)
    assert importlib.util.find_spec("gnomon_watched") is not None
    __import__("gnomon_watched")
    __import__("gnomon_watched")
    assert seen == [42]
    assert len(sys.meta_path) == before - 1


def test_a_module_that_is_not_there_stays_so() -> None:
    watch_import("gnomon_absent_module", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        __import__("gnomon_absent_module")


def test_openai_is_seen_without_wrapt(collector: CollectorDouble, provider_url: str) -> None:
    code = f"""
import sys
sys.modules["wrapt"] = None
import gnomon
gnomon.init("plain", endpoint={collector.url!r})
assert "openai" not in sys.modules
from openai import OpenAI
OpenAI(base_url={provider_url!r}, api_key="x").chat.completions.create(
    model="gpt-4o-mini", messages=[{{"role": "user", "content": "hi"}}])
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=90)
    assert collector.span("chat gpt-4o-mini")
