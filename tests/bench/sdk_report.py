"""The figures of ``make bench-sdk`` as a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench.report import Cell, Goal, Table

KINDS: Final = ("chat", "canned_chat", "stream", "embeddings", "async_chat", "async_stream")
_GOAL_CPU_US: Final = 150.0
_GOAL_IMPORT_S: Final = 0.25
_GOAL_EXIT_S: Final = 2.0
_INTERPRETER_EXIT_S: Final = 0.5
"""What the end of a process takes by itself: `exit` is measured from outside."""


@dataclass
class Measured:
    """What was found of one library; figures beside those of the bare client are in `added`."""

    library: str
    versions: str
    import_s: float
    start_s: float = 0.0
    rss_mib: float = 0.0
    rss_after_mib: float = 0.0
    bytes_per_call: float = 0.0
    exit_s: dict[str, float] = field(default_factory=dict)
    dead_cpu_us: dict[str, float] = field(default_factory=dict)
    calls: dict[str, dict[str, float]] = field(default_factory=dict)
    bare: dict[str, dict[str, float]] = field(default_factory=dict)

    def added(self, kind: str, figure: str) -> float:
        """Return what the library adds to a call of this kind, in µs."""
        return self.calls[kind][figure] - self.bare[kind][figure]


def goals_of(results: Sequence[Measured]) -> list[Goal]:
    """Return what is to be reached; the first of `results` is Gnomon's."""
    gnomon, *others = results
    added = gnomon.added("chat", "total_p50")
    goals = [
        Goal("CPU added to a chat call, p50", "≤ 150 µs", f"{added:.0f} µs", added <= _GOAL_CPU_US),
        Goal(
            "the same, answered from memory",
            "≤ 150 µs",
            f"{gnomon.added('canned_chat', 'total_p50'):.0f} µs",
            gnomon.added("canned_chat", "total_p50") <= _GOAL_CPU_US,
        ),
        Goal("`import gnomon`", "≤ 0.25 s", f"{gnomon.import_s:.3f} s", gnomon.import_s <= _GOAL_IMPORT_S),
        Goal(
            "exit delayed, whatever the collector does",
            "≤ 2 s",
            ", ".join(f"{state} {seconds:.2f} s" for state, seconds in gnomon.exit_s.items()),
            max(gnomon.exit_s.values()) <= _GOAL_EXIT_S + _INTERPRETER_EXIT_S,
        ),
    ]
    if others:
        best = min(others, key=lambda other: other.added("chat", "total_p50"))
        least = best.added("chat", "total_p50")
        goals.append(
            Goal(
                "CPU added to a chat call beside the peers",
                "lowest of all",
                f"{added:.0f} µs; next {best.library} {least:.0f} µs",
                added < least,
            )
        )
    return goals


def tables_of(results: Sequence[Measured]) -> list[Table]:
    """Return all figures."""
    cpu = [
        [one.library, *(round(one.added(kind, "total_p50")) for kind in KINDS)]
        + [round(one.added("chat", figure)) for figure in ("thread_p50", "thread_p99", "wall_p50", "process")]
        for one in results
    ]
    rest: list[list[Cell]] = [
        [
            one.library,
            one.import_s,
            one.start_s,
            round(one.rss_mib),
            round(one.rss_after_mib),
            round(one.bytes_per_call),
            one.exit_s["well"],
            one.exit_s["dead"],
            one.exit_s["hangs"],
            round(one.dead_cpu_us["dead"] - one.bare["chat"]["thread_p50"]),
        ]
        for one in results
    ]
    return [
        Table(
            "Added to a call, µs",
            [
                *(
                    "SDK",
                    "chat CPU",
                    "chat CPU, no socket",
                    "stream CPU",
                    "embeddings CPU",
                    "async chat CPU",
                    "async stream CPU",
                ),
                *("chat, caller p50", "chat, caller p99", "chat, wall p50", "chat, whole process mean"),
            ],
            cpu,
        ),
        Table(
            "Everything else",
            [
                *(
                    "SDK",
                    "import s",
                    "import + init s",
                    "RSS MiB",
                    "RSS MiB after the calls",
                    "bytes sent/call",
                ),
                *(
                    "exit s",
                    "exit s, collector dead",
                    "exit s, collector hangs",
                    "chat CPU µs, collector dead",
                ),
            ],
            rest,
        ),
    ]


def notes_of(
    results: Sequence[Measured], count: int, memory_calls: int, round_calls: int, exit_limit_s: float
) -> list[str]:
    """Return how it was measured."""
    return [
        f"{count:,} calls of each kind ({count // 4:,} of streams of 60 chunks) for each SDK after a warm-up,"
        f" {round_calls} at a time in turns with all others and with a bare client in the same"
        " virtualenv. Content is captured, compressed as each SDK does by default.",
        "*CPU* is the caller's median (`time.thread_time`) plus the CPU of all other threads of the process,"
        " exporters included, spread over the calls; less the same of the bare client. *No socket* is the same call"
        " answered from memory, which leaves out most of the noise of the machine. *Whole process mean* is"
        " `time.process_time` over everything instead, which other load on the machine weighs on more.",
        f"Memory after {memory_calls:,} calls in a row, without pause for the exporters. *Exit* is from the"
        f" end of the input to the end of the process, the interpreter's own end included; {exit_limit_s:.0f} s is"
        " where the wait ends.",
        "Versions: " + "; ".join(f"{one.library}: {one.versions}" for one in results) + ".",
    ]
