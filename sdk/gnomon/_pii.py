"""Names of people, places and organisations, by the NER libraries of ``gnomon[pii]``, loaded on demand."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from gnomon._errors import UsageError

_INSTALL: Final = "pip install 'gnomon[pii]'"
_SPACY_MODEL: Final = "en_core_web_lg"
_NATASHA_CLASSES: Final = {"PER": "person", "LOC": "place", "ORG": "organisation"}
_PRESIDIO_CLASSES: Final = {
    "PERSON": "person",
    "LOCATION": "place",
    "ORGANIZATION": "organisation",
    "NRP": "group",
}
"""Only what the recognisers with checksums do not find already."""

Entity = tuple[int, int, str]


def recogniser(name: str) -> Callable[[str], Iterator[Entity]]:
    """Return a function that finds named entities.

    Args:
        name: ``natasha`` (Russian; brings its model along) or ``presidio`` (English, with the spaCy model
            ``en_core_web_lg``, which you install).

    Raises:
        UsageError: there is no such library here; the message says how to install it.
    """
    if name not in ("natasha", "presidio"):
        raise UsageError("ner must be natasha, presidio or a function that returns (start, end, label)")
    try:
        return _natasha() if name == "natasha" else presidio(_presidio_engine())
    except ImportError as error:
        raise UsageError(f"masking names with {name} needs {_INSTALL}") from error


def presidio(engine: Any) -> Callable[[str], Iterator[Entity]]:
    """Return a function that asks a Presidio engine, in the first language that it supports."""
    languages = list(getattr(engine, "supported_languages", None) or ["en"])
    wanted = [kind for kind in _PRESIDIO_CLASSES if kind in engine.get_supported_entities(languages[0])]
    return partial(_ask_presidio, engine, languages[0], wanted)


def _ask_presidio(engine: Any, language: str, wanted: list[str], text: str) -> Iterator[Entity]:
    for result in engine.analyze(text=text, language=language, entities=wanted):
        yield result.start, result.end, _PRESIDIO_CLASSES[result.entity_type]


def _presidio_engine() -> Any:
    from presidio_analyzer import AnalyzerEngine
    from spacy.util import is_package

    if not is_package(_SPACY_MODEL):
        # Presidio would download it, at run time and without being asked.
        raise UsageError(
            f"ner='presidio' needs the spaCy model {_SPACY_MODEL}: install it, or pass an engine"
        )
    return AnalyzerEngine()


def _natasha() -> Callable[[str], Iterator[Entity]]:
    # The tagger and its vectors only: natasha's morphology is not needed, and slow to load.
    from natasha import Doc, NewsEmbedding, NewsNERTagger, Segmenter

    segmenter, tagger = Segmenter(), NewsNERTagger(NewsEmbedding())

    def entities(text: str) -> Iterator[Entity]:
        document = Doc(text)
        document.segment(segmenter)
        document.tag_ner(tagger)
        for span in document.spans:
            yield span.start, span.stop, _NATASHA_CLASSES.get(span.type, "entity")

    return entities
