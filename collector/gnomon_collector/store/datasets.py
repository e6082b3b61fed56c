"""Datasets: named sets of examples. An example is a call, and what its answer should have been.

Input and output are read from the spans, corrections and scores from `scores`: only what is written for the
dataset itself is kept in it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_time

MOST_DATASETS: Final = 200
MOST_EXAMPLES: Final = 100_000
LONGEST_NAME: Final = 80
LONGEST_DESCRIPTION: Final = 2_000
LONGEST_EXPECTED: Final = 100_000
MOST_AT_ONCE: Final = 1_000
_BLOCK: Final = 1_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named set.

    Attributes:
        made_by: user name; empty where nobody logs in.
        examples: how many there are.
        corrected: for how many somebody wrote in this dataset what the answer should have been.
        added_at: when the latest one was added.
    """

    project: str
    dataset_id: str
    name: str
    description: str
    made_by: str
    created_at: datetime
    examples: int = 0
    corrected: int = 0
    added_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A row of `dataset_examples`. An empty `span_id` stands for the call of the trace that answered."""

    project: str
    dataset_id: str
    example_id: str
    trace_id: str
    span_id: str
    user_id: str
    session_id: str
    happened_at: datetime
    expected_output: str
    added_by: str
    added_at: datetime


_EXAMPLE_COLUMNS: Final = tuple(one.name for one in fields(Example))
_TIMES: Final = ("happened_at", "added_at")
_COLUMNS: Final = ("project", "dataset_id", "name", "description", "made_by", "created_at")


def list_datasets(store: Store, project: str) -> list[Dataset]:
    """Return the datasets of a project by name."""
    rows = store.query(
        """
        SELECT project, dataset_id, name, description, made_by, created_at
        FROM datasets FINAL
        WHERE project = {project:String} AND deleted_at IS NULL
        ORDER BY lowerUTF8(name), created_at
        LIMIT 1000
        """,
        {"project": project},
    ).rows
    sizes = _sizes(store, project)
    return [_dataset(row, sizes.get(str(row[1]), (0, 0, None))) for row in rows]


def find_dataset(store: Store, project: str, name: str) -> Dataset:
    """Return a dataset.

    Raises:
        BadRequest: the project has none of that name; the message lists those it has
    """
    known = list_datasets(store, project)
    found = next((one for one in known if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in known[:20]) or "it has none yet"
        raise BadRequest(f"Project {project} has no dataset {name[:LONGEST_NAME]!r}: {names}.")
    return found


def create_dataset(store: Store, project: str, name: str, description: str, author: str) -> Dataset:
    """Make an empty dataset.

    Raises:
        BadRequest: the name is empty, too long or taken, or the project has `MOST_DATASETS` already
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or len(description) > LONGEST_DESCRIPTION:
        raise BadRequest(
            f"A dataset has a name of 1 to {LONGEST_NAME} characters, and a description of at most"
            f" {LONGEST_DESCRIPTION}."
        )
    known = list_datasets(store, project)
    if any(one.name == name for one in known):
        raise BadRequest(f"Project {project} has a dataset {name!r} already: take another name.")
    if len(known) >= MOST_DATASETS:
        raise BadRequest(f"Project {project} has {MOST_DATASETS} datasets already: delete one.")
    made = Dataset(project, uuid.uuid4().hex, name, description.strip(), author, datetime.now(UTC))
    _write_dataset(store, made, deleted_at=None)
    return made


def delete_dataset(store: Store, dataset: Dataset) -> None:
    """Delete a dataset with its examples; the traces stay."""
    now = datetime.now(UTC)
    _write_dataset(store, dataset, deleted_at=now)
    # read to the end first: what is removed meanwhile would shift what comes next
    for block in list(all_examples(store, dataset)):
        _write_examples(store, block, removed_at=now)


def examples(
    store: Store, dataset: Dataset, *, offset: int = 0, limit: int = 50, text: str = ""
) -> list[Example]:
    """Return the examples of a dataset, the latest added first.

    Args:
        text: only those whose trace id begins so, or whose expected output has it in it
    """
    rows = store.query(
        f"""
        SELECT {", ".join(_EXAMPLE_COLUMNS)}
        FROM dataset_examples FINAL
        WHERE project = {{project:String}} AND dataset_id = {{dataset:String}} AND removed_at IS NULL
            AND ({{text:String}} = '' OR startsWith(trace_id, {{text:String}})
                OR positionCaseInsensitiveUTF8(expected_output, {{text:String}}) > 0)
        ORDER BY added_at DESC, example_id
        LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
        """,  # noqa: S608 (columns are those of the dataclass, values are bound)
        {
            "project": dataset.project,
            "dataset": dataset.dataset_id,
            "text": text,
            "limit": limit,
            "offset": offset,
        },
    ).rows
    return [_example(row) for row in rows]


def add_examples(
    store: Store, dataset: Dataset, calls: Sequence[tuple[str, str]], author: str
) -> tuple[int, int]:
    """Add calls as examples; return how many are new, and in how many no model was called.

    Those that are in the dataset already stay as they are, with what was written for them.

    Args:
        calls: trace id and span id; an empty span id is the call of the trace that answered

    Raises:
        BadRequest: the dataset would have more than `MOST_EXAMPLES`, or `calls` more than `MOST_AT_ONCE`
    """
    wanted = {example_id(trace_id, span_id): (trace_id, span_id) for trace_id, span_id in calls}
    if len(wanted) > MOST_AT_ONCE:
        raise BadRequest(f"At most {MOST_AT_ONCE} examples are added at once.")
    missing = sorted(set(wanted) - _present(store, dataset, list(wanted)))
    if dataset.examples + len(missing) > MOST_EXAMPLES:
        raise BadRequest(f"A dataset has at most {MOST_EXAMPLES:,} examples: begin another one.")
    known = _traces(store, dataset.project, sorted({wanted[one][0] for one in missing}))
    begin = Example(
        dataset.project, dataset.dataset_id, "", "", "", "", "", _EPOCH, "", author, datetime.now(UTC)
    )
    fresh = [
        replace(
            begin, example_id=key, trace_id=wanted[key][0], span_id=wanted[key][1], **known[wanted[key][0]]
        )
        for key in missing
        if wanted[key][0] in known
    ]
    _write_examples(store, fresh, removed_at=None)
    return len(fresh), len(missing) - len(fresh)


def expect(store: Store, dataset: Dataset, key: str, expected: str) -> Example:
    """Say what the answer of an example should have been; an empty text takes it back.

    Raises:
        BadRequest: the dataset has no such example, or the text is too long
    """
    if len(expected) > LONGEST_EXPECTED:
        raise BadRequest(f"An expected output has at most {LONGEST_EXPECTED:,} characters.")
    changed = replace(_one(store, dataset, key), expected_output=expected)
    _write_examples(store, [changed], removed_at=None)
    return changed


def remove(store: Store, dataset: Dataset, key: str) -> None:
    """Take an example out of a dataset; its trace stays.

    Raises:
        BadRequest: the dataset has no such example
    """
    _write_examples(store, [_one(store, dataset, key)], removed_at=datetime.now(UTC))


def all_examples(store: Store, dataset: Dataset) -> Iterator[list[Example]]:
    """Yield the examples of a dataset in blocks, the latest added first."""
    for offset in range(0, MOST_EXAMPLES, _BLOCK):
        block = examples(store, dataset, offset=offset, limit=_BLOCK)
        if block:
            yield block
        if len(block) < _BLOCK:
            return


def example_id(trace_id: str, span_id: str) -> str:
    """Return the id of a call among the examples of a dataset."""
    return blake2b(f"{trace_id}:{span_id}".encode(), digest_size=16).hexdigest()


def _sizes(store: Store, project: str) -> dict[str, tuple[int, int, datetime | None]]:
    rows = store.query(
        """
        SELECT dataset_id, count(), countIf(expected_output != ''), max(added_at)
        FROM dataset_examples FINAL
        WHERE project = {project:String} AND removed_at IS NULL
        GROUP BY dataset_id
        """,
        {"project": project},
    ).rows
    return {str(row[0]): (as_int(row[1]), as_int(row[2]), as_time(row[3])) for row in rows}


def _dataset(row: Sequence[object], size: tuple[int, int, datetime | None]) -> Dataset:
    project, dataset_id, name, description, made_by = (str(cell) for cell in row[:5])
    return Dataset(project, dataset_id, name, description, made_by, as_time(row[5]), *size)


def _example(row: Sequence[object]) -> Example:
    said: dict[str, Any] = {
        name: as_time(value) if name in _TIMES else str(value)
        for name, value in zip(_EXAMPLE_COLUMNS, row, strict=True)
    }
    return Example(**said)


def _present(store: Store, dataset: Dataset, keys: Sequence[str]) -> set[str]:
    rows = store.query(
        """
        SELECT example_id FROM dataset_examples FINAL
        WHERE project = {project:String} AND dataset_id = {dataset:String} AND removed_at IS NULL
            AND example_id IN {keys:Array(String)}
        """,
        {"project": dataset.project, "dataset": dataset.dataset_id, "keys": list(keys)},
    ).rows
    return {str(row[0]) for row in rows}


def _one(store: Store, dataset: Dataset, key: str) -> Example:
    rows = store.query(
        f"""
        SELECT {", ".join(_EXAMPLE_COLUMNS)} FROM dataset_examples FINAL
        WHERE project = {{project:String}} AND dataset_id = {{dataset:String}} AND removed_at IS NULL
            AND example_id = {{key:String}}
        """,  # noqa: S608 (as above)
        {"project": dataset.project, "dataset": dataset.dataset_id, "key": key},
    ).rows
    if not rows:
        raise BadRequest(
            f"The dataset {dataset.name!r} has no such example; it may have been removed already."
        )
    return _example(rows[0])


def _traces(store: Store, project: str, trace_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """User, session and start of traces in which a model was called."""
    rows = store.query(
        """
        SELECT trace_id, max(user_id), max(session_id), min(start_time)
        FROM spans
        WHERE project = {project:String} AND trace_id IN {ids:Array(String)}
        GROUP BY trace_id
        HAVING countIf(kind = 'generation') > 0
        """,
        {"project": project, "ids": list(trace_ids)},
    ).rows
    return {
        str(row[0]): {"user_id": str(row[1]), "session_id": str(row[2]), "happened_at": as_time(row[3])}
        for row in rows
    }


def _write_dataset(store: Store, dataset: Dataset, deleted_at: datetime | None) -> None:
    row = [getattr(dataset, name) for name in _COLUMNS]
    store.insert_rows("datasets", (*_COLUMNS, "deleted_at", "version"), [(*row, deleted_at, time.time_ns())])


def _write_examples(store: Store, rows: Sequence[Example], removed_at: datetime | None) -> None:
    """Write examples; of removed ones no text is kept."""
    if not rows:
        return
    if removed_at is not None:
        rows = [replace(one, expected_output="") for one in rows]
    version = time.time_ns()
    store.insert_rows(
        "dataset_examples",
        (*_EXAMPLE_COLUMNS, "removed_at", "version"),
        [(*asdict(one).values(), removed_at, version) for one in rows],
    )
