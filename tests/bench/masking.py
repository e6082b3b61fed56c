"""What masking costs per KB of text, by kind of text: ``python -m tests.bench.masking``.

Measured in CPU time of the thread, so that other work on the machine counts little; each figure is the median
of many rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.machine import this_machine
from tests.bench.report import REPORTS, Goal, Report, Table, save

from gnomon._masking import Masker, Masking

GOAL_US: Final = 300.0
ROUNDS: Final = 40
REPEATS: Final = 25

_RUSSIAN = (
    "Здравствуйте, заказ 4711 от 12 мая до сих пор не пришёл, подскажите, пожалуйста, когда его ждать. "
)
_ENGLISH = "I ordered red shoes in size 42 on 2026-05-01, and they have not arrived yet; please check why. "
_FOUND = "Write to ann@example.org or call +7 916 123-45-67, my card is 4111 1111 1111 1111. "
_CODE = "def total(items):\n    return sum(item.price * 1.2 for item in items if item.id != 10442)\n"


def _of_size(text: str, size_bytes: int = 4096) -> str:
    whole = text * (size_bytes // len(text.encode()) + 1)
    return whole.encode()[:size_bytes].decode(errors="ignore")


def texts() -> dict[str, str]:
    """Return texts of 4 KB, by what they are."""
    prose = _RUSSIAN + _ENGLISH
    chat = [{"role": "user", "parts": [{"type": "text", "content": _of_size(prose, 1900)}]}]
    return {
        "English prose": _of_size(_ENGLISH),
        "Russian prose": _of_size(_RUSSIAN),
        "Python code": _of_size(_CODE),
        "a conversation as JSON": json.dumps(chat * 2, ensure_ascii=False),
        "prose with an e-mail address, a phone and a card per KB": _of_size(_FOUND + prose * 5),
        "the same, with pseudonyms": _of_size(_FOUND + prose * 5),
        "nothing but personal data": _of_size(_FOUND),
    }


def cost_us_per_kb(masker: Masker, text: str) -> float:
    """Return the CPU time of masking a text, in microseconds per KB; the median of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for _ in range(REPEATS):
            masker(text, "gnomon.input")
        rounds.append((time.thread_time() - began_s) / REPEATS)
    return statistics.median(rounds) * 1e6 / (len(text.encode()) / 1024)


def run(directory: Path) -> Report:
    """Measure all texts."""
    began_s = time.monotonic()
    machine = this_machine(directory)
    costs = {
        name: cost_us_per_kb(Masker(Masking(pseudonyms="pseudonyms" in name)), text)
        for name, text in texts().items()
    }
    return Report(
        name="masking",
        title="Masking",
        command="python -m tests.bench.masking",
        machine=machine,
        seconds=time.monotonic() - began_s,
        goals=[
            Goal(
                "masking personal data, CPU per KB of text, all classes",
                f"≤ {GOAL_US:.0f} µs",
                f"{min(costs.values()):.0f} to {max(costs.values()):.0f} µs",
                max(costs.values()) <= GOAL_US,
            )
        ],
        tables=[
            Table(
                "CPU per KB",
                ["text", "µs/KB"],
                [[name, round(cost, 1)] for name, cost in costs.items()],
            )
        ],
        notes=["All nine classes, without NER. It runs on the exporter's thread, not on the caller's."],
        raw={"us_per_kb": costs},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-") as home:
        found = run(Path(home))
    for goal in found.goals:
        print(f"{goal.what}: {goal.measured} (wanted {goal.goal})")
    print(save(found, options.reports))


if __name__ == "__main__":
    main()
