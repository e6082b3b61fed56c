"""Checks that take a parser: Python code, and JSON after a schema. The database has neither, so the answers are
read, parsed here and counted; none is ever run.

Bounded: of the answers that came in since the last look some thousands at the most, drawn by hash when there
are more, none longer than `MOST_CHARACTERS`; the counts say how many were looked at.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from gnomon_collector.errors import ConfigError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_time

MOST_ANSWERS: Final = 2_000
"""Read at a time for one check."""

MOST_CHARACTERS: Final = 50_000
"""A longer answer is not looked at."""

Fails: TypeAlias = Callable[[str], bool]
_Labels: TypeAlias = tuple[object, ...]

_LABELS: Final = (
    "project, toStartOfMinute(start_time), service_name, environment, model, prompt_name, prompt_version"
)
_COLUMNS: Final = (
    "project", "time", "service_name", "environment", "model", "prompt_name", "prompt_version", "check_name",
    "checked", "failed", "version",
)  # fmt: skip
_ANSWERS: Final = """
SELECT {labels}, output_text FROM calls
WHERE project = {{project:String}} AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    AND {answered} AND {applies} AND lengthUTF8(output_text) <= {{most_characters:UInt32}}
ORDER BY cityHash64(span_id)
LIMIT {{most:UInt32}}
"""

_BLOCK: Final = re.compile(r"```(?:python|py)\b[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_FENCED: Final = re.compile(r"\s*```\w*\s*(.*?)\s*```", re.DOTALL)


def count_parsed(
    store: Store,
    check: str,
    fails: Fails,
    conditions: tuple[str, str],
    parameters: Mapping[str, object],
    minutes: Sequence[datetime],
    version: int,
) -> None:
    """Count anew how many answers of some minutes a parser refuses.

    Args:
        check: its name
        conditions: SQL of what an answer is, and of those that the check applies to
        parameters: theirs, and the project

    Raises:
        StoreError: the database does not work
    """
    answered, applies = conditions
    sql = _ANSWERS.format(labels=_LABELS, answered=answered, applies=applies)
    bounds = {"minutes": list(minutes), "most": MOST_ANSWERS, "most_characters": MOST_CHARACTERS}
    checked, failed = Counter[_Labels](), Counter[_Labels]()
    for *labels, text in store.query(sql, {**parameters, **bounds}).rows:
        project, time, *others = labels
        key = (project, as_time(time), *others)
        checked[key] += 1
        failed[key] += fails(str(text))
    rows = [[*key, check, checked[key], failed[key], version] for key in checked]
    store.insert_rows("checks_per_minute", _COLUMNS, rows)


def is_broken_python(text: str) -> bool:
    """Return whether a block of Python in an answer is no Python, or is never closed."""
    return text.count("```") % 2 == 1 or any(map(_is_no_python, _blocks(text)))


def _blocks(text: str) -> Iterator[str]:
    return (textwrap.dedent(found.group(1)) for found in _BLOCK.finditer(text))


def _is_no_python(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            ast.parse(code)
    # what is nested too deeply for the parser is refused by it in one of these ways
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return False


def schema_check(schema: str) -> Fails:
    """Return what tells whether an answer, its fence taken off, is no JSON after a schema.

    References are looked up in the schema alone: nothing is fetched.

    Raises:
        ConfigError: it is no JSON Schema, or the package that reads them is not installed
    """
    validator, unresolvable = _validator(schema)

    def fails(text: str) -> bool:
        fenced = _FENCED.match(text)
        try:
            return not validator.is_valid(json.loads(fenced.group(1) if fenced else text))
        except (ValueError, RecursionError, unresolvable):
            return True

    return fails


def _validator(schema: str) -> tuple[Any, type[Exception]]:
    """A validator, and what it raises at a reference that the schema does not hold."""
    try:
        jsonschema: Any = importlib.import_module("jsonschema")
        referencing: Any = importlib.import_module("referencing")
    except ImportError:
        raise ConfigError("A check of the kind json_schema needs pip install 'gnomon[checks]'.") from None
    unresolvable: type[Exception] = referencing.exceptions.Unresolvable
    try:
        parsed = json.loads(schema)
        kind = jsonschema.validators.validator_for(parsed)
        kind.check_schema(parsed)
        validator = kind(parsed, registry=referencing.Registry())
        validator.is_valid({})  # a reference to what is elsewhere shows here
    except (ValueError, jsonschema.SchemaError, unresolvable) as error:
        said = getattr(error, "message", str(error))
        raise ConfigError(f"The schema of a check of the kind json_schema is none: {said}") from None
    return validator, unresolvable
