"""Evaluators: what is asked of the judge, on which scale, about which parts of an answer. Loaded from TOML.

Those that come with Gnomon are in ``rubrics/``; a rubric of your own is a file of the same form
(docs/judge.md).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gnomon_collector.errors import ConfigError

Unit = Literal["span", "trace", "session", "pair"]
Input = Literal[
    "instructions", "question", "documents", "answer", "reference", "steps", "answer_1", "answer_2"
]
PROMPT_VERSION: Final = 1
"""Of the text around the rubrics (`prompts`); part of every evaluator's version."""


class Label(BaseModel):
    """A word the judge may answer with. `value` is 0 (bad) to 1 (good), None: does not apply."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    label: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    meaning: str = Field(min_length=1)
    value: float | None = Field(default=None, ge=0, le=1)


class Evaluator(BaseModel):
    """One question to the judge.

    Attributes:
        name: of the scores it makes
        version: raised by hand when the rubric is changed on purpose
        unit: what it judges; `units` where it can judge several
        inputs: what the judge is shown, in this order
        requires: without all of these there is nothing to judge; of `requires_any` one is enough
        per_document: also judge each document by itself, on `document_labels`
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")
    version: int = Field(ge=1)
    title: str = Field(min_length=1, max_length=80)
    description: str = Field(min_length=1)
    unit: Unit = "span"
    units: tuple[Unit, ...] = ()
    inputs: tuple[Input, ...] = Field(min_length=1)
    requires: tuple[Input, ...] = ()
    requires_any: tuple[Input, ...] = ()
    rubric: str = Field(min_length=20)
    labels: tuple[Label, ...] = Field(min_length=2)
    per_document: bool = False
    document_labels: tuple[Label, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Evaluator:
        unknown = {str(name) for name in (*self.requires, *self.requires_any)} - set(self.inputs)
        if unknown:
            raise ValueError(f"requires {', '.join(sorted(unknown))}, which is not among its inputs")
        if len({label.label for label in self.labels}) < len(self.labels):
            raise ValueError("two labels have the same name")
        if self.per_document and ("documents" not in self.inputs or len(self.document_labels) < 2):
            raise ValueError("per_document needs documents among the inputs, and document_labels")
        return self

    def judges(self, unit: str) -> bool:
        """Return whether it can judge a `unit`."""
        return unit == self.unit or unit in self.units

    def value_of(self, label: str) -> float | None:
        """Return the value of one of the labels.

        Raises:
            KeyError: there is no such label
        """
        return {one.label: one.value for one in self.labels}[label]

    def missing(self, given: Iterable[str]) -> str:
        """Return which part that it needs is not among those `given`, "" when all is there."""
        there = set(given)
        lacking: list[str] = [name for name in self.requires if name not in there]
        if not lacking and self.requires_any and not there & set(self.requires_any):
            lacking = [" or ".join(self.requires_any)]
        return ", ".join(lacking)


def evaluator_version(evaluator: Evaluator, judge_model: str) -> str:
    """Return what a verdict hangs on: the name, the version, and a digest of all that the judge is told.

    Another rubric, scale or judge model makes another version, whose verdicts are never mixed with the old.
    """
    told = json.dumps([PROMPT_VERSION, judge_model, evaluator.model_dump()], sort_keys=True)
    return f"{evaluator.name}-{evaluator.version}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def built_in() -> dict[str, Evaluator]:
    """Return the evaluators that come with Gnomon, by name."""
    folder = files("gnomon_collector.quality") / "rubrics"
    texts = sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    loaded = [parse_rubric(text, name) for name, text in texts if name.endswith(".toml")]
    return {one.name: one for one in loaded}


def load_evaluators(rubric_files: Sequence[Path] = ()) -> dict[str, Evaluator]:
    """Return all evaluators by name; a rubric of your own replaces the one of that name.

    Raises:
        ConfigError: a file cannot be read, or is no rubric
    """
    found = built_in()
    for path in rubric_files:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"Cannot read the rubric {path}: {error.strerror}.") from None
        one = parse_rubric(text, str(path))
        found[one.name] = one
    return found


def parse_rubric(text: str, origin: str) -> Evaluator:
    """Return the evaluator that a TOML text describes.

    Raises:
        ConfigError: it is no TOML, or a field is missing or wrong; `origin` names the file
    """
    try:
        return Evaluator.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The rubric {origin} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise ConfigError(f"The rubric {origin} is wrong: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """Return what is wrong in a file, each with its place."""
    return " ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}." for one in error.errors()
    )


def registry_row(evaluator: Evaluator, judge_model: str) -> Mapping[str, object]:
    """Return an evaluator as a row of `judge_evaluators`."""
    return {
        "name": evaluator.name,
        "evaluator_version": evaluator_version(evaluator, judge_model),
        "title": evaluator.title,
        "description": evaluator.description,
        "unit": evaluator.unit,
        "labels": [(one.label, one.value, one.meaning) for one in evaluator.labels],
        "judge_model": judge_model,
    }
