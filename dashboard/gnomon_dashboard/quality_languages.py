"""Quality by language: what judges and users say of the answers in each language, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gnomon_collector.store import quality, quality_satisfaction
from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality_estimates import Estimate, estimate
from gnomon_dashboard import links, units
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import View
from gnomon_dashboard.quality_figures import interval_text

_MOST_EVALUATORS: Final = 4


@dataclass(frozen=True, slots=True)
class LanguageQuality:
    """The answers in one language.

    Attributes:
        language: ISO 639-1; empty where it is not known.
        scores: mean of each evaluator by its title, weighted by how answers were drawn.
        satisfied: share of good ratings by users; None without any.
    """

    language: str
    scores: Mapping[str, Estimate]
    satisfied: Estimate | None

    @property
    def judged(self) -> int:
        """Verdicts of the evaluator that has most of them."""
        return max((one.count for one in self.scores.values()), default=0)


def ask(store: Store, view: View) -> list[LanguageQuality]:
    """Return each language with verdicts or ratings, that with most verdicts first."""
    names = sorted(quality.judged_names(store, view.project, view.window), key=lambda one: -one.count)
    scores: dict[str, dict[str, Estimate]] = {}
    for one in names[:_MOST_EVALUATORS]:
        sums = quality.score_sums(store, view.scope, view.window, one.evaluator, one.version, "language")
        for language, part in sums.items():
            scores.setdefault(language, {})[one.title] = estimate(part)
    rated = dict(quality_satisfaction.satisfaction(store, view.scope, view.window, "language"))
    found = [LanguageQuality(one, scores.get(one, {}), rated.get(one)) for one in {**scores, **rated}]
    return sorted(found, key=lambda one: (-one.judged, one.language))


def draw(rows: Sequence[LanguageQuality], view: View) -> Any:
    """Return the languages as a table: a column per evaluator, and one for the users."""
    if not rows:
        return None
    titles = list(dict.fromkeys(title for row in rows for title in row.scores))
    calls = links.to_calls(view.state)
    cells = [
        [
            Cell(row.language or "(none)", calls("language", row.language) if row.language else ""),
            *[_estimate(row.scores.get(title)) for title in titles],
            Cell(units.whole(row.judged)),
            _estimate(row.satisfied),
            Cell(units.whole(row.satisfied.count if row.satisfied else 0)),
        ]
        for row in rows
    ]
    return ranking(("Language", *titles, "Judged", "Satisfied [95 %]", "Ratings"), cells)


def _estimate(one: Estimate | None) -> Cell:
    if one is None or one.mean is None:
        return Cell(units.NOTHING)
    return Cell(interval_text(one), share=one.mean, hint="" if one.is_enough else "too few to rely on")
