"""What the examples of a dataset say: question, answer, what it should have been; and as lines of an export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gnomon_collector.store.datasets import Dataset, Example, all_examples
from gnomon_collector.store.engine import Store
from gnomon_collector.store.export import Judged, Kind, answers, as_message, said_in, training_line
from gnomon_schemas.conversation import Conversation

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Said:
    """A score of an example's trace."""

    name: str
    value: float | None
    label: str
    comment: str
    source: str


@dataclass(frozen=True, slots=True)
class Content:
    """An example with what its call said.

    Attributes:
        talk: of the call; None where its text is gone, or was never sent.
        correction: what a person said about the trace that the answer should have been.
        scores: the others.
    """

    example: Example
    talk: Conversation | None
    correction: str
    scores: tuple[Said, ...]

    @property
    def question(self) -> str:
        """The last thing that was asked."""
        asked = [one for one in self.talk.input if one.role == "user"] if self.talk else []
        return said_in(asked[-1:])

    @property
    def output(self) -> str:
        """What was answered."""
        return said_in(self.talk.output) if self.talk else ""

    @property
    def expected(self) -> str:
        """What the answer should have been: as written for the dataset, else the correction; else empty."""
        return self.example.expected_output or self.correction


def contents(store: Store, examples: Sequence[Example]) -> list[Content]:
    """Return what examples of one project say, in their order."""
    if not examples:
        return []
    project = examples[0].project
    said = _scores(store, project, sorted({one.trace_id for one in examples}))
    talks: dict[str, Conversation] = {}
    for part in _each_trace_once(examples):
        asked = [Judged(one.trace_id, one.span_id, None, 0, "") for one in part]
        found = answers(store, project, asked)
        talks |= {one.example_id: found[one.trace_id] for one in part if one.trace_id in found}
    return [_content(one, talks.get(one.example_id), said.get(one.trace_id, ())) for one in examples]


def dataset_lines(store: Store, dataset: Dataset, kind: Kind, with_ids: bool = False) -> Iterator[bytes]:
    """Yield a dataset as JSON Lines.

    Args:
        kind: ``examples`` for everything that is known of each; ``fine-tuning`` or ``preferences`` as
            OpenAI's fine-tuning takes them, those without an answer (or a correction of it) left out
        with_ids: fine-tuning and preference lines carry their trace under ``metadata``
    """
    for block in all_examples(store, dataset):
        for first in range(0, len(block), _AT_ONCE):
            for content in contents(store, block[first : first + _AT_ONCE]):
                line = _plain(content) if kind == "examples" else _trained(kind, content, with_ids)
                if line is not None:
                    yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _content(example: Example, talk: Conversation | None, said: Sequence[Said]) -> Content:
    correction = next((one.comment for one in said if one.name == "correction" and one.comment), "")
    return Content(example, talk, correction, tuple(one for one in said if one.name != "correction"))


def _each_trace_once(examples: Sequence[Example]) -> Iterator[list[Example]]:
    """Parts in which no trace occurs twice: its calls are told apart one at a time."""
    left = list(examples)
    while left:
        part = list({one.trace_id: one for one in reversed(left)}.values())
        yield part
        left = [one for one in left if one not in part]


def _scores(store: Store, project: str, trace_ids: Sequence[str]) -> dict[str, list[Said]]:
    """The scores of traces, the latest first."""
    rows = store.query(
        """
        SELECT trace_id, name, value, label, comment, source
        FROM scores FINAL
        WHERE project = {project:String} AND trace_id IN {ids:Array(String)}
        ORDER BY created_at DESC, score_id
        LIMIT 20 BY trace_id
        """,
        {"project": project, "ids": list(trace_ids)},
    ).rows
    found: dict[str, list[Said]] = {}
    for trace_id, name, value, label, comment, source in rows:
        number = float(value) if isinstance(value, (int, float)) else None
        one = Said(str(name), number, str(label), str(comment), str(source))
        found.setdefault(str(trace_id), []).append(one)
    return found


def _plain(content: Content) -> dict[str, Any]:
    one, talk = content.example, content.talk
    return {
        "trace_id": one.trace_id,
        "span_id": one.span_id,
        "time": one.happened_at.isoformat(),
        "input": [as_message(message) for message in talk.input] if talk else [],
        "output": content.output,
        "expected_output": content.expected,
        "scores": [
            {"name": said.name, "value": said.value, "label": said.label, "source": said.source}
            for said in content.scores
        ],
    }


def _trained(kind: Kind, content: Content, with_ids: bool) -> dict[str, Any] | None:
    if content.talk is None:
        return None
    ratings = [
        said.value for said in content.scores if said.value is not None and said.source in ("user", "human")
    ]
    mean = sum(ratings) / len(ratings) if ratings else None
    one = content.example
    judged = Judged(one.trace_id, one.span_id, mean, len(ratings), content.expected)
    return training_line(kind, judged, content.talk, with_ids)
