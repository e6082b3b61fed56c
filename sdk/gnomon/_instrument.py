"""Find the installed GenAI instrumentors and activate one per library.

Instrumentors announce themselves under the entry point group ``opentelemetry_instrumentor``. Several
families cover the same libraries; two for one library would count every call twice.
"""

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from gnomon._guard import Guard
from gnomon._import_hook import when_imported
from gnomon._libraries import EXTRAS, GENAI_LIBRARIES, library_of
from gnomon._settings import AUTO

GROUP: Final = "opentelemetry_instrumentor"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installed instrumentor: the library it is for, the package it comes from, and its rank (0 first)."""

    library: str
    package: str
    version: str
    rank: int
    entry_point: EntryPoint

    def __str__(self) -> str:
        return f"{self.library} ({self.package} {self.version})"


def find_candidates(points: Iterable[EntryPoint]) -> list[Candidate]:
    """Return the GenAI instrumentors among ``points``, those to prefer first."""
    found = [candidate for point in points if (candidate := _candidate(point)) is not None]
    return sorted(found, key=lambda candidate: (candidate.library, candidate.rank, candidate.package))


def _candidate(point: EntryPoint) -> Candidate | None:
    if point.dist is None:
        return None
    known = library_of(point.dist.name)
    if known is None:
        return None
    return Candidate(known.library, point.dist.name, point.dist.version, known.rank, point)


def choose(
    candidates: Sequence[Candidate], wanted: Sequence[str], unwanted: Sequence[str] = ()
) -> dict[str, list[Candidate]]:
    """Group candidates by library, the preferred first, keeping the libraries that are asked for.

    Args:
        candidates: what `find_candidates` returned.
        wanted: library names, or ``("auto",)`` for all.
        unwanted: names to leave out (``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS``).
    """
    names = {_plain_name(name) for name in wanted}
    refused = {_plain_name(name) for name in unwanted}
    chosen: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        asked = AUTO in names or candidate.library in names
        if asked and not refused & {candidate.library, _plain_name(candidate.entry_point.name)}:
            chosen.setdefault(candidate.library, []).append(candidate)
    return chosen


def _plain_name(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


class OwnInstrumentation(Protocol):
    """Gnomon's own way to record a library, where the instrumentors of others cost too much."""

    def prepare(self) -> None:
        """Take note of the library's methods before anyone wraps them."""

    def start(self) -> None:
        """Wrap them, in place of what others wrapped around them meanwhile."""

    def stop(self) -> None:
        """Put back what was there."""


@dataclass
class Instrumentation:
    """The instrumentors this process activated.

    Attributes:
        active: what runs, in words.
        waiting: what starts as soon as its library is imported, in words.
        missing: libraries that no installed instrumentor covers.
    """

    guard: Guard
    provider: object
    own: Mapping[str, OwnInstrumentation] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _instrumentors: list[Any] = field(default_factory=list)
    _stopped: bool = False

    def start(self, wanted: Sequence[str], unwanted: Sequence[str]) -> None:
        """Activate what is installed and asked for."""
        chosen = choose(find_candidates(entry_points(group=GROUP)), wanted, unwanted)
        for library in self.own:
            if library not in chosen and _is_asked_for(library, wanted, unwanted):
                chosen[library] = []
        asked = EXTRAS if AUTO in wanted else tuple(map(_plain_name, wanted))
        self.missing = [
            name for name in asked if name not in chosen and _is_wanted_here(name, wanted, unwanted)
        ]
        for library, candidates in chosen.items():
            with self.guard.harmless(f"instrumenting {library}"):
                self._start_one(library, candidates)

    def stop(self) -> None:
        """Take the activated instrumentors out again."""
        self._stopped = True
        for instrumentation in self.own.values():
            with self.guard.harmless("uninstrumenting"):
                instrumentation.stop()
        for instrumentor in self._instrumentors:
            with self.guard.harmless("uninstrumenting"):
                instrumentor.uninstrument()
        self._instrumentors.clear()

    def _start_one(self, library: str, candidates: Sequence[Candidate]) -> None:
        module = GENAI_LIBRARIES.get(library)
        if module is None or module in sys.modules:
            self._activate_first(library, candidates)
        elif _is_installed(module):
            # Instrumentors import the library they are for, which may take a second: leave that to the host.
            if when_imported(module, lambda: self._activate_late(library, candidates)):
                self.waiting.append(f"{self._name(library, candidates)} as soon as it is imported")
            else:
                self._activate_first(library, candidates)

    def _name(self, library: str, candidates: Sequence[Candidate]) -> str:
        return f"{library} (gnomon)" if library in self.own else str(candidates[0])

    def _activate_late(self, library: str, candidates: Sequence[Candidate]) -> None:
        if not self._stopped:
            with self.guard.harmless(f"instrumenting {library}"):
                self._activate_first(library, candidates)

    def _activate_first(self, library: str, candidates: Sequence[Candidate]) -> None:
        already = next((candidate for candidate in candidates if _is_active(candidate)), None)
        if already is not None:
            self.active.append(f"{already}, activated elsewhere")
            return
        own = self.own.get(library)
        if own is not None and (not candidates or candidates[0].rank == 0):
            self._activate_own(own, library, candidates[:1])
            return
        for candidate in candidates:
            if self._activate(candidate):
                self.active.append(str(candidate))
                return

    def _activate_own(self, own: OwnInstrumentation, library: str, official: Sequence[Candidate]) -> None:
        """Start Gnomon's own; OpenTelemetry's beside it records what Gnomon's does not."""
        if official:
            own.prepare()
        for candidate in official:
            with self.guard.harmless(f"instrumenting {library}"):
                self._activate(candidate)
        own.start()
        self.active.append(f"{library} (gnomon)")

    def _activate(self, candidate: Candidate) -> bool:
        instrumentor = candidate.entry_point.load()()
        try:
            instrumentor.instrument(tracer_provider=self.provider, raise_exception_on_conflict=True)
        except Exception as error:
            if type(error).__name__ != "DependencyConflictError":
                raise
            # The library is absent or of a version this instrumentor does not know: the next one may.
            return False
        if not getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
            return False
        self._instrumentors.append(instrumentor)
        return True


def _is_asked_for(library: str, wanted: Sequence[str], unwanted: Sequence[str]) -> bool:
    return not {library} & set(map(_plain_name, unwanted)) and bool(
        {AUTO, library} & set(map(_plain_name, wanted))
    )


def _is_active(candidate: Candidate) -> bool:
    if candidate.entry_point.module not in sys.modules:
        return False
    return bool(getattr(candidate.entry_point.load()(), "is_instrumented_by_opentelemetry", False))


def _is_wanted_here(library: str, wanted: Sequence[str], unwanted: Sequence[str]) -> bool:
    """Whether a library without an instrumentor is worth a warning: asked for by name, or installed."""
    if library in map(_plain_name, unwanted):
        return False
    return AUTO not in wanted or _is_installed(GENAI_LIBRARIES[library])


def _is_installed(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def content_switches(capture_content: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that make the instrumentors capture content on spans, or not.

    Each family reads its own variable. What someone set by hand stays when content is to be captured;
    ``capture_content="none"`` is a promise and overrides it.
    """
    switches = dict(_CONTENT_OFF)
    if capture_content != "none":
        switches = {name: value for name, value in _CONTENT_ON.items() if not environ.get(name)}
    opted_in = environ.get(_OTEL_OPT_IN, "")
    if "gen_ai" not in opted_in:
        # Instrumentors of the contrib repository put content on spans only in their newest dialect.
        switches[_OTEL_OPT_IN] = f"{opted_in},{_NEWEST_DIALECT}".lstrip(",")
    return switches


_OTEL_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
_NEWEST_DIALECT: Final = "gen_ai_latest_experimental"
_OTEL_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_ON: Final = {_OTEL_CONTENT: "SPAN_ONLY"}
_CONTENT_OFF: Final = {
    _OTEL_CONTENT: "NO_CONTENT",
    "TRACELOOP_TRACE_CONTENT": "false",
    "OPENINFERENCE_HIDE_INPUTS": "true",
    "OPENINFERENCE_HIDE_OUTPUTS": "true",
    "OPENINFERENCE_HIDE_EMBEDDINGS_TEXT": "true",
    "OPENINFERENCE_HIDE_PROMPTS": "true",
}
