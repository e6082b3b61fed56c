"""JSON checks: the whole text, against a schema or a pydantic model, and a stream of it piece by piece."""

import functools
import importlib
import json
import re
from typing import Any, Final

from gnomon._checks_types import Verdict
from gnomon._errors import UsageError

_FENCED: Final = re.compile(r"\A\s*```[\w+-]*[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_SPACE: Final = " \t\r\n"
_LITERAL_CHARS: Final = frozenset("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LITERAL: Final = re.compile(r"(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)\Z")


def unfenced(text: str) -> str:
    """Return what stands in a Markdown code fence, when the text is one and nothing else."""
    match = _FENCED.match(text)
    return match[1] if match else text


def parse(text: str) -> tuple[Any, str]:
    """Return the JSON value, and "" or what is wrong with it, by line and column."""
    try:
        return json.loads(text, parse_constant=_refuse_constant), ""
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        return None, "nested too deeply"
    except ValueError as error:
        return None, str(error)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@functools.lru_cache(maxsize=64)
def _validator(schema_text: str) -> Any:
    try:
        jsonschema = importlib.import_module("jsonschema")
    except ImportError as error:
        raise UsageError("checking against a JSON Schema needs pip install 'gnomon[checks]'") from error
    schema = json.loads(schema_text)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def against_schema(value: Any, schema_text: str) -> Verdict:
    """Validate against a JSON Schema, given as text; says where it fails, not what stands there."""
    errors = list(_validator(schema_text).iter_errors(value))
    if not errors:
        return Verdict(True)
    said = "; ".join(f"{error.json_path}: {error.validator}" for error in errors[:5])
    return Verdict(False, said)


def against_model(text: str, model: Any) -> Verdict:
    """Validate against a pydantic model or anything pydantic makes a ``TypeAdapter`` of."""
    pydantic = importlib.import_module("pydantic")
    try:
        pydantic.TypeAdapter(model).validate_json(text)
    except pydantic.ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        said = (f"$.{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems[:5])
        return Verdict(False, "; ".join(said))
    return Verdict(True)


class JsonPrefix:
    """Tells, piece by piece, whether a text may still become JSON (RFC 8259)."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._expects = "value"
        self._literal = ""
        self._in_string = self._escaped = self._is_key = False
        self._problem = ""

    def feed(self, piece: str) -> str:
        """Take the next piece; returns "" or why this is no JSON any more."""
        for char in piece:
            if self._problem:
                break
            self._take(char)
        return self._problem

    def _take(self, char: str) -> None:
        if self._in_string:
            self._take_in_string(char)
        elif char in _LITERAL_CHARS and (self._literal or self._expects in ("value", "value or ]")):
            self._literal += char
            if len(self._literal) > 512:
                self._problem = "no JSON: a word or number without end"
        else:
            self._end_literal()
            if char not in _SPACE and not self._problem:
                self._take_mark(char)

    def _take_in_string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            self._expects = "colon" if self._is_key else self._after_value()
        elif char < " ":
            self._problem = "no JSON: a line break inside of a string"

    def _take_mark(self, char: str) -> None:
        expects = self._expects
        if char == '"' and expects in ("value", "value or ]", "key", "key or }"):
            self._in_string, self._is_key = True, expects.startswith("key")
        elif char in "{[" and expects in ("value", "value or ]"):
            self._open.append(char)
            self._expects = "key or }" if char == "{" else "value or ]"
        elif char == ":" and expects == "colon":
            self._expects = "value"
        elif char == "," and expects == "comma":
            self._expects = "key" if self._open[-1] == "{" else "value"
        elif char in "}]" and self._open and self._may_close(char):
            self._open.pop()
            self._expects = self._after_value()
        else:
            self._problem = f"no JSON: {'nothing more' if expects == 'end' else expects} expected"

    def _may_close(self, char: str) -> bool:
        fits = self._open[-1] == ("{" if char == "}" else "[")
        return fits and self._expects in ("comma", f"key or {char}", f"value or {char}")

    def _end_literal(self) -> None:
        if self._literal:
            if not _LITERAL.match(self._literal):
                self._problem = "no JSON: a word that is none of true, false and null, or a wrong number"
            self._literal = ""
            self._expects = self._after_value()

    def _after_value(self) -> str:
        return "comma" if self._open else "end"
