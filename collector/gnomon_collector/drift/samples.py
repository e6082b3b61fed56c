"""Two samples of texts or embeddings, and what was found on them; compared in a process of its own.

scikit-learn takes 100 MB, and more where pandas is installed, which it imports. A server that idles does
without; and for as long as pandas is being imported, Plotly fails to write any figure in the same process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from gnomon_collector.drift.rules import Measured
from gnomon_collector.errors import GnomonError

AUC: Final = "auc"
CENTROID: Final = "centroid"
LEAST_TEXTS: Final = 100
SAMPLE: Final = 400

_COMPARER: Final = "gnomon_collector.drift.texts"
_TIMEOUT_S: Final = 600.0

Items: TypeAlias = Sequence[str] | Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Samples:
    """Texts, or embeddings of one length, of the two windows; each sample needs `LEAST_TEXTS`."""

    reference: Items
    current: Items


@dataclass(frozen=True, slots=True)
class Term:
    """A word or pair of words, and the share of texts with it in each window."""

    term: str
    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class SampleDrift:
    """What was found on two samples.

    Attributes:
        typical_current: indices of the current items that look least like the reference, most typical first.
        typical_reference: indices of the reference items that look least like the current ones.
        terms: what changed most, of texts that changed.
    """

    measured: tuple[Measured, ...]
    typical_current: tuple[int, ...]
    typical_reference: tuple[int, ...]
    terms: tuple[Term, ...] = ()


def compared(pairs: Sequence[Samples]) -> list[SampleDrift]:
    """Return how far each pair of samples lies apart.

    Raises:
        GnomonError: the comparing process failed or took longer than ten minutes.
    """
    if not pairs:
        return []
    try:
        process = subprocess.run(
            [sys.executable, "-m", _COMPARER],
            input=json.dumps([asdict(one) for one in pairs]).encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GnomonError(
            f"Texts were not compared within {_TIMEOUT_S:.0f} s; the next evaluation tries again."
        ) from error
    if process.returncode:
        said = process.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise GnomonError(f"Texts could not be compared: {''.join(said) or process.returncode}")
    return [_drift(one) for one in json.loads(process.stdout)]


def _drift(one: dict[str, Any]) -> SampleDrift:
    return SampleDrift(
        measured=tuple(Measured(**measured) for measured in one["measured"]),
        typical_current=tuple(one["typical_current"]),
        typical_reference=tuple(one["typical_reference"]),
        terms=tuple(Term(**term) for term in one["terms"]),
    )
