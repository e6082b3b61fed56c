"""Checks by code over all answers, as SQL: no model is asked, nothing is sampled.

Counts per minute and label set are kept in `checks_per_minute`. What takes a parser is counted by
`quality_parsing`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality_parsing import Fails, count_parsed, is_broken_python, schema_check
from gnomon_collector.store.queries.cells import as_int, as_time
from gnomon_collector.store.queries.filters import Scope, Window, scope_conditions
from gnomon_schemas.sqltext import quoted

CheckKind = Literal[
    "json",
    "json_schema",
    "python",
    "empty",
    "max_length",
    "min_length",
    "language",
    "refusal",
    "regex",
    "no_regex",
]

# Words of refusal in the languages that models refuse in most; at the beginning of an answer only.
REFUSAL: Final = (
    r"(?i)^(?:[^.!?]{0,80}[^\pL])?(?:I(?:'m| am) (?:sorry|unable)[^.!?]{0,60}\b(?:can't|cannot|can not|unable|not able)|"
    r"I (?:can't|cannot|can not|won't) (?:help|assist|comply|provide|do that|answer)|as an AI(?: language)? model|"
    r"(?:kann|darf) (?:ich|Ihnen|dir)[^.!?]{0,40}\bnicht (?:helfen|beantworten|unterstützen)|"
    r"(?:не могу|не смогу) (?:помочь|ответить|выполнить|предоставить)|no puedo (?:ayudar|responder)|"
    r"je ne peux pas (?:vous |t')?(?:aider|répondre))"
)
# The text inside a fence of the form ```lang … ```, or the whole.
_FENCE: Final = quoted(r"(?s)^\s*```")
_FENCED: Final = quoted(r"(?s)```\w*\s*(.*?)\s*```")
_UNFENCED: Final = f"if(match(output_text, {_FENCE}), extract(output_text, {_FENCED}), output_text)"
_VISIBLE: Final = quoted(r"\S")
_JSON: Final = quoted(r"^[{\[]")
_PYTHON: Final = quoted(r"```(?:python|py)\b")
_SCRIPTS: Final = {
    r"[\x{0400}-\x{04FF}]": "cyrillic",
    r"[\x{3040}-\x{30FF}]": "kana",
    r"[\x{AC00}-\x{D7AF}]": "hangul",
    r"[\x{4E00}-\x{9FFF}]": "han",
    r"[\x{0590}-\x{05FF}]": "hebrew",
    r"[\x{0600}-\x{06FF}]": "arabic",
    r"[\x{0370}-\x{03FF}]": "greek",
    r"[\x{0900}-\x{097F}]": "devanagari",
    "[A-Za-z]": "latin",
}


def _script_of(text: str) -> str:
    """SQL for the script that a text is written in, the first of the list that occurs."""
    cases = ", ".join(f"match({text}, {quoted(script)}), {quoted(name)}" for script, name in _SCRIPTS.items())
    return f"multiIf({cases}, '')"


_ANSWERED: Final = "kind = 'generation' AND status = 'ok' AND finish_reason != 'tool_call'"

_COUNT: Final = """
INSERT INTO checks_per_minute
SELECT project, toStartOfMinute(start_time) AS time, {{check:String}} AS check_name, service_name, environment, model,
    prompt_name, prompt_version, count() AS checked, countIf({failed}) AS failed, {{version:UInt64}} AS version
FROM calls
WHERE project = {{project:String}} AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    AND {answered} AND {applies}
GROUP BY project, time, service_name, environment, model, prompt_name, prompt_version
"""

_RATES: Final = """
SELECT check_name, {bucket} AS bucket, sum(checked), sum(failed) FROM checks_per_minute FINAL
WHERE {conditions} AND time >= {{start:DateTime('UTC')}} AND time < {{end:DateTime('UTC')}}
GROUP BY check_name, bucket ORDER BY check_name, bucket
"""

_TOUCHED: Final = """
SELECT project, groupUniqArray(5000)(toStartOfMinute(start_time)) FROM spans
WHERE received_at > {after:DateTime64(9)} AND received_at <= {until:DateTime64(9)}
    AND start_time >= {after:DateTime64(9)} - INTERVAL 8 DAY AND kind = 'generation'
GROUP BY project
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        prompt: only answers of this prompt; "" for all
        pattern: RE2, for the regex kinds
        characters: for the length kinds
        schema: JSON Schema as text, for json_schema
    """

    name: str
    kind: CheckKind
    prompt: str = ""
    pattern: str = ""
    characters: int = 0
    schema: str = ""


@dataclass(frozen=True, slots=True)
class CheckRate:
    """How many answers a check looked at, and how many failed, in a bucket of time."""

    name: str
    time: datetime
    checked: int
    failed: int


BUILT_IN: Final = (
    Check("empty_answer", "empty"),
    Check("refusal_phrase", "refusal"),
    Check("language_mismatch", "language"),
    Check("broken_json", "json"),
)
"""Checks over every project: they apply where they make sense, as `json` to answers that begin as JSON does."""


def conditions_of(check: Check) -> tuple[str, str]:
    """Return SQL for the answers that a check applies to, and for those that fail it.

    Which ones fail is left empty where a parser has to tell.
    """
    applies, failed = {
        "python": (f"match(output_text, {_PYTHON})", ""),
        "json_schema": (f"match(trimLeft({_UNFENCED}), {_JSON})" if not check.prompt else "1", ""),
        "json": (
            f"match(trimLeft({_UNFENCED}), {_JSON})" if not check.prompt else "1",
            f"NOT isValidJSON({_UNFENCED})",
        ),
        "empty": ("1", f"NOT match(output_text, {_VISIBLE})"),
        "max_length": ("1", "lengthUTF8(output_text) > {characters:UInt32}"),
        "min_length": ("1", "lengthUTF8(output_text) < {characters:UInt32}"),
        "language": (
            "lengthUTF8(input_text) >= 12 AND lengthUTF8(output_text) >= 12",
            f"{_script_of('input_text')} != {_script_of('output_text')}",
        ),
        "refusal": ("1", "match(output_text, {refusal:String})"),
        "regex": ("1", "NOT match(output_text, {pattern:String})"),
        "no_regex": ("1", "match(output_text, {pattern:String})"),
    }[check.kind]
    if check.prompt:
        applies = f"{applies} AND prompt_name = {{prompt:String}}"
    return f"({applies})", f"({failed})" if failed else ""


def parameters_of(check: Check) -> dict[str, object]:
    """Return the values that the conditions of a check are bound with."""
    parameters: dict[str, object] = {"prompt": check.prompt} if check.prompt else {}
    if check.kind.endswith("regex"):
        parameters["pattern"] = check.pattern
    if check.kind.endswith("_length"):
        parameters["characters"] = check.characters
    if check.kind == "refusal":
        parameters["refusal"] = REFUSAL
    return parameters


def parser_of(check: Check) -> Fails:
    """Return what tells whether an answer fails a check that takes a parser.

    Raises:
        ConfigError: its schema is none
    """
    return is_broken_python if check.kind == "python" else schema_check(check.schema)


def touched_minutes(store: Store, after: datetime, until: datetime) -> dict[str, list[datetime]]:
    """Return the minutes of each project in which calls came in within a time."""
    rows = store.query(_TOUCHED, {"after": after, "until": until}).rows
    return {
        str(project): sorted(as_time(minute) for minute in minutes)
        for project, minutes in rows
        if isinstance(minutes, list)
    }


def count_checks(store: Store, project: str, checks: Sequence[Check], minutes: Sequence[datetime]) -> None:
    """Count a project's answers of some minutes anew."""
    for check in checks:
        applies, failed = conditions_of(check)
        if not failed:
            bound = {"project": project, **parameters_of(check)}
            asked = (_ANSWERED, applies)
            count_parsed(store, check.name, parser_of(check), asked, bound, minutes, time.time_ns())
            continue
        sql = _COUNT.format(failed=failed, answered=_ANSWERED, applies=applies)
        values = {
            "check": check.name,
            "project": project,
            "minutes": list(minutes),
            "version": time.time_ns(),
        }
        store.command(sql, {**values, **parameters_of(check)})


def check_rates(store: Store, scope: Scope, window: Window) -> list[CheckRate]:
    """Return the failures of each check by bucket of a window."""
    conditions, parameters = scope_conditions(scope)
    bucket = "toStartOfInterval(time, toIntervalSecond({step:UInt32}), 'UTC')"
    sql = _RATES.format(bucket=bucket, conditions=" AND ".join(conditions))
    values = {**parameters, "start": window.start, "end": window.end, "step": window.step_s}
    return [
        CheckRate(str(name), as_time(at), as_int(checked), as_int(failed))
        for name, at, checked, failed in store.query(sql, values).rows
    ]
