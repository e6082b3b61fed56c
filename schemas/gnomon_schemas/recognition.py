"""Which dialect a span speaks and where its fields stand: SQL made of the dialect files."""

from collections.abc import Sequence
from typing import Final

from gnomon_schemas.dialects import ANY_END, FIELDS, Dialect, with_trait
from gnomon_schemas.sqltext import mapped, one_of, quoted, strings

_RANKS: Final = 100
"""More than any field has sources."""

_ATTRIBUTES: Final = 1 << 20
"""More than any span has attributes."""

USAGE_DETAILS: Final = (len(FIELDS) + 1) * _RANKS
"""The number of an attribute that counts a unit of `Dialect.usage_details`, others have field and rank."""

_UNQUOTED: Final = (
    "operation",
    "provider",
    "request_model",
    "response_model",
    "first_token_at",
    "finish_reasons",
    "session_id",
    "user_id",
    "status",
)
"""Fields of a word, which some dialects say in JSON's quotes."""


def fields_select(dialects: Sequence[Dialect], source: str) -> str:
    """Return the SELECT that adds `dialect` and a text ``f_<field>`` for each field to a span.

    A field's text is that of its best source that says anything, else empty. `found` has, for every attribute
    that is a source, the field, the source's rank and the attribute's position in one number, so that the
    best come first and no text is copied.
    """
    return f"""\
SELECT * EXCEPT (found, found_fields, found_at, found_by_field, words),
    {_all_fields()}
FROM (
SELECT *,
    {_words()} AS words
FROM (
SELECT *,
    arrayMap(x -> intDiv(x, {_RANKS * _ATTRIBUTES}), found) AS found_fields,
    arrayMap(x -> x % {_ATTRIBUTES}, found) AS found_at,
    mapFromArrays(found_fields, found_at) AS found_by_field
FROM (
SELECT *,
    arraySort(arrayFilter(x -> x >= {_ATTRIBUTES}, arrayMap((k, t, at) ->
        if(t = '', 0, {_source_number(dialects)} * {_ATTRIBUTES} + at),
        keys, texts, arrayEnumerate(keys)))) AS found
FROM (SELECT *, {_dialect(dialects)} AS dialect FROM {source})
)
)
)"""  # noqa: S608  (SQL of this module)


def _dialect(dialects: Sequence[Dialect]) -> str:
    cases = [case for dialect in dialects for case in _scope_cases(dialect)]
    by_scope = {scope: dialect.id for dialect in reversed(dialects) for scope in _plain_scopes(dialect)}
    ranks = {
        attribute: str(rank) for rank, dialect in enumerate(dialects, 1) for attribute in dialect.attributes
    }
    rank = f"transform(k, [{strings(ranks)}], [{', '.join(ranks.values())}], 255)"
    numbers = ", ".join(str(number) for number, _ in enumerate(dialects, 1))
    ids = strings(dialect.id for dialect in dialects)
    by_attribute = f"transform(arrayMin(arrayMap(k -> {rank}, keys)), [{numbers}], [{ids}], '')"
    return (
        f"multiIf({', '.join(cases)}, {one_of('scope_name', by_scope)},"
        f" {mapped('scope_name', by_scope, quoted(''))}, {by_attribute})"
    )


def _plain_scopes(dialect: Dialect) -> list[str]:
    """Return the scopes that tell a dialect by their whole name alone."""
    return [scope for scope in dialect.scopes if not (dialect.scoped_attributes or scope.endswith(ANY_END))]


def _scope_cases(dialect: Dialect) -> list[str]:
    plain = _plain_scopes(dialect)
    tests = [
        f"startsWith(scope_name, {quoted(scope.removesuffix(ANY_END))})"
        if scope.endswith(ANY_END)
        else f"scope_name = {quoted(scope)}"
        for scope in dialect.scopes
        if scope not in plain
    ]
    if not tests:
        return []
    test = f"({' OR '.join(tests)})"
    if dialect.scoped_attributes:
        test += f" AND hasAny(keys, [{strings(dialect.scoped_attributes)}])"
    return [test, quoted(dialect.id)]


def _source_number(dialects: Sequence[Dialect]) -> str:
    """SQL for the number of an attribute name `k` as a source: field * ranks + rank, or 0."""
    numbers: dict[str, int] = {}
    ranks = dict.fromkeys(FIELDS, 0)
    own = {
        f"{dialect.id} {source}": field
        for dialect in dialects
        for field, sources in dialect.own_fields.items()
        for source in sources
    }
    shared = {
        source: field
        for dialect in dialects
        for field, sources in dialect.fields.items()
        for source in sources
    }
    for name, field in (own | shared).items():
        numbers[name] = (FIELDS.index(field) + 1) * _RANKS + ranks[field]
        ranks[field] += 1
    numbers |= {name: USAGE_DETAILS for dialect in dialects for name in dialect.usage_details}
    own_names = sorted({name.split(" ", 1)[1] for name in own})
    own_name = "concat(dialect, ' ', k)"
    name = f"if(k IN ({strings(own_names)}) AND {own_name} IN ({strings(own)}), {own_name}, k)"
    return f"transform({name}, [{strings(numbers)}], [{', '.join(map(str, numbers.values()))}], 0)"


def _all_fields() -> str:
    details = f"arrayFilter((at, field) -> field = {USAGE_DETAILS // _RANKS}, found_at, found_fields)"
    fields = [f"{_field(field)} AS f_{field}" for field in FIELDS]
    return ",\n    ".join([*fields, f"arrayMap(at -> (keys[at], texts[at]), {details}) AS said_details"])


def _field(field: str) -> str:
    return f"words[{_UNQUOTED.index(field) + 1}]" if field in _UNQUOTED else _found(field)


def _words() -> str:
    """SQL for the texts of the fields of a word, in the order of `_UNQUOTED`."""
    is_quoted = f"{one_of('dialect', with_trait('json_quoted'))} AND startsWith(word, '\"')"
    # a list, not a function of the field's number: that would copy all texts of a span for each
    said = ", ".join(_found(field) for field in _UNQUOTED)
    return f"arrayMap(word -> if({is_quoted}, JSONExtractString(word), word), [{said}])"


def _found(field: str) -> str:
    return f"texts[found_by_field[{FIELDS.index(field) + 1}]]"


def kind_by_operation(dialects: Sequence[Dialect]) -> str:
    """Return SQL for the kind that a dialect's word in `f_operation` stands for, else empty."""
    return mapped(
        "f_operation", {word: kind for each in dialects for word, kind in each.operations.items()}, "''"
    )


def kind_by_attribute(dialects: Sequence[Dialect], otherwise: str) -> str:
    """Return SQL for the kind that an attribute tells, `otherwise` (SQL) where none does."""
    attributes: dict[str, list[str]] = {}
    for dialect in dialects:
        for attribute, kind in dialect.kind_attributes.items():
            attributes.setdefault(kind, []).append(attribute)
    cases = [f"hasAny(keys, [{strings(listed)}]), {quoted(kind)}" for kind, listed in attributes.items()]
    for dialect in dialects:
        cases += [
            f"dialect = {quoted(dialect.id)} AND has(keys, {quoted(attribute)}), {quoted(kind)}"
            for attribute, kind in dialect.own_kind_attributes.items()
        ]
    return f"multiIf({', '.join(cases)}, {otherwise})"


def kind_by_name(dialects: Sequence[Dialect], otherwise: str) -> str:
    """Return SQL for the kind that the end of a span's name tells, `otherwise` (SQL) where none does."""
    cases = [
        f"dialect = {quoted(dialect.id)} AND endsWith(name, {quoted(end)}), {quoted(kind)}"
        for dialect in dialects
        for end, kind in dialect.name_ends.items()
    ]
    return f"multiIf({', '.join(cases)}, {otherwise})"


def event_text(dialects: Sequence[Dialect], field: str) -> str:
    """Return SQL for what span events say of a field of `EVENT_FIELDS`: the last of a name, else empty.

    It reads `late_events` (see there).
    """
    sources = [source.split(" ", 1) for dialect in dialects for source in dialect.events.get(field, ())]
    events, attributes = (strings(column) for column in zip(*sources, strict=True))
    said = "late_events.3[indexOf(late_events.2, event)][attribute]"
    return (
        f"arrayFirst(text -> text != '', arrayMap((event, attribute) -> {said}, [{events}], [{attributes}]))"
    )


def late_events(dialects: Sequence[Dialect]) -> str:
    """Return SQL for the span events that `event_text` reads, with the last one first."""
    listed = [source for dialect in dialects for sources in dialect.events.values() for source in sources]
    names = dict.fromkeys(source.split(" ", 1)[0] for source in listed)
    return f"arrayReverse(arrayFilter(e -> {one_of('e.2', names)}, otlp_events))"
