"""`sample`: whole traces are kept or left out, the same ones with the host's provider and with ours."""

import subprocess
import sys

from tests.sdk.collector_double import CollectorDouble

import gnomon
from gnomon import testing

TRACES = 400


def names_kept(share: float) -> list[str]:
    with testing.capture(sample=share) as captured:
        for number in range(TRACES):
            with gnomon.span(f"root {number}"), gnomon.span(f"child {number}"):
                pass
    return [span.name for span in captured.spans]


def test_a_share_of_the_traces_is_kept_whole() -> None:
    kept = names_kept(0.5)
    roots = {name.split()[1] for name in kept if name.startswith("root")}
    assert roots == {name.split()[1] for name in kept if name.startswith("child")}
    assert TRACES * 0.35 < len(roots) < TRACES * 0.65


def test_all_and_nothing() -> None:
    assert len(names_kept(1.0)) == 2 * TRACES
    assert names_kept(0.0) == []


def test_a_provider_of_our_own_does_not_even_record(collector: CollectorDouble) -> None:
    code = f"""
import gnomon
gnomon.init("sampled", endpoint={collector.url!r}, sample=0.25)
recording = 0
for _ in range(200):
    with gnomon.span("work") as span:
        recording += span.recording
assert 20 < recording < 90, recording
assert gnomon.flush()
assert gnomon.stats().exported_spans == recording
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
