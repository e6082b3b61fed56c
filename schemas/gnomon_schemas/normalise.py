"""The ingest: SQL views that turn a batch of OTLP requests into rows of `spans`.

The SQL is built from the dialect files, so a new dialect is data. A batch passes a chain of Null tables, each
filled by a view on the one before: spans with their attributes as text -> fields by dialect -> readings and
choices between them -> canonical columns with the price -> `spans`, less what is already stored.

Decoding in the database instead of Python: ADR 0001. Unique by key at insert: ADR 0002.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gnomon_schemas import attributes
from gnomon_schemas.dialects import FIELDS, Dialect, load_dialects
from gnomon_schemas.otlp import DDL_SLOTS, JSON_KEY
from gnomon_schemas.prices import COST_USD, PRICE_ARRAYS

MAX_TEXT_CHARS: Final = 8192
"""How much of a call's input and output text is kept in `input_text` and `output_text`."""

MAX_FUTURE_S: Final = 3600
"""A start time further ahead of its receipt is taken for a broken clock."""

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A start time before this is taken for a broken clock."""

MAX_DURATION_S: Final = 7 * 86400

FINISH_REASONS: Final = {
    "tool_calls": "tool_call",
    "tool-calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "incomplete": "length",
    "content-filter": "content_filter",
    "refusal": "content_filter",
    "failed": "error",
}
PROVIDERS: Final = {
    "az.ai.openai": "azure.ai.openai",
    "vertexai": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
}
CANCELLED_ERRORS: Final = (
    "CancelledError",
    "GeneratorExit",
    "KeyboardInterrupt",
    "AbortError",
    "ClientDisconnect",
)
KNOWN_STATUS: Final = ("ok", "error", "cancelled")
SCRIPTS: Final = {
    r"[\x{3040}-\x{30FF}]": "ja",
    r"[\x{AC00}-\x{D7AF}]": "ko",
    r"[\x{4E00}-\x{9FFF}]": "zh",
    "[іїєґІЇЄҐ]": "uk",
    r"[\x{0400}-\x{04FF}]": "ru",
    r"[\x{0590}-\x{05FF}]": "he",
    r"[\x{0600}-\x{06FF}]": "ar",
    r"[\x{0370}-\x{03FF}]": "el",
    r"[\x{0900}-\x{097F}]": "hi",
}
"""Scripts that tell a language, the first that occurs wins."""

_MAX_INT64: Final = 2**63 - 1


@dataclass(frozen=True)
class Stage:
    """One step of the ingest: a Null table and the view that fills it from the step before."""

    table: str
    select: str


def ingest_stages() -> tuple[Stage, ...]:
    """Return the steps from `otlp_inbox` to `spans`, in order.

    Steps are tables of their own, not nested sub-queries, because ClickHouse analyses a query again for each
    insert: one query over the nested OTLP type took 500 ms to analyse, the same in steps takes 150 ms.
    """
    dialects = load_dialects()
    slots = _Slots(dialects)
    return (
        Stage("otlp_spans", _select(_ATTRIBUTES, _FLATTENED)),
        Stage(
            "otlp_fields",
            _select(
                _fields(slots),
                f"SELECT *, arrayMap(k -> {slots.transform('k')}, keys) AS slots\nFROM otlp_spans",
            ),
        ),
        Stage("otlp_readings", _select(_CHOICES, f"SELECT {_readings(dialects)}\nFROM otlp_fields")),
        Stage("otlp_columns", _select(_COLUMNS, f"SELECT {_PRICED}\n{_PRICE_JOIN}")),
        Stage("spans", _UNSTORED),
    )


def ingest_sql() -> str:
    """Return the statements that make the ingest anew; nothing is stored in what they drop."""
    stages = ingest_stages()
    statements = [f"DROP VIEW IF EXISTS to_{stage.table}{{on_cluster}}" for stage in stages]
    for stage in stages:
        if stage.table != "spans":
            statements.append(f"DROP TABLE IF EXISTS {stage.table}{{on_cluster}}")
            statements.append(
                f"CREATE TABLE {stage.table}{{on_cluster}} ENGINE = Null EMPTY AS\n{stage.select}"
            )
        statements.append(
            f"CREATE MATERIALIZED VIEW to_{stage.table}{{on_cluster}} TO {stage.table} AS\n{stage.select}"
        )
    return "".join(f"{statement};\n" for statement in statements)


def _select(columns: str, source: str) -> str:
    return f"SELECT {columns}\nFROM (\n{source}\n)"


class _Slots:
    """Numbers for attribute names: every (field, source) has one, in order of preference."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._numbers: dict[str, int] = {}
        self._of_field: dict[str, list[int]] = {field: [] for field in FIELDS}
        for dialect in dialects:
            for field, sources in dialect.fields.items():
                for source in sources:
                    number = self._numbers.setdefault(source, len(self._numbers) + 1)
                    if number not in self._of_field[field]:
                        self._of_field[field].append(number)

    def transform(self, key: str) -> str:
        names = ", ".join(map(_quote, self._numbers))
        numbers = ", ".join(map(str, self._numbers.values()))
        return f"transform({key}, [{names}], [{numbers}], 0)"

    def text(self, field: str) -> str:
        """SQL for the field's value as text; empty where no source is there."""
        indexes = [f"indexOf(slots, {number})" for number in self._of_field[field]]
        if not indexes:
            return "''"
        expression = f"texts[{indexes[-1]}]"
        for index in reversed(indexes[:-1]):
            expression = f"if({index} > 0, texts[{index}], {expression})"
        return expression


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _strings(texts: Iterable[str]) -> str:
    return ", ".join(map(_quote, texts))


def _mapping(expression: str, table: dict[str, str]) -> str:
    return f"transform({expression}, [{_strings(table)}], [{_strings(table.values())}], {expression})"


def _scalar_json(t: str, s: str, i: str, b: str, d: str, by: str) -> str:
    return (
        f"multiIf({t} = 'string_value', toJSONString({s}), {t} = 'int_value', toString({i}),"
        f" {t} = 'bool_value', if({b}, 'true', 'false'), {t} = 'double_value', toJSONString({d}),"
        f" {t} = 'bytes_value', toJSONString(base64Encode({by})), 'null')"
    )


def _array_json(values: str) -> str:
    element = _scalar_json(
        "v.value", "v.string_value", "v.int_value", "v.bool_value", "v.double_value", "v.bytes_value"
    )
    return f"concat('[', arrayStringConcat(arrayMap(v -> {element}, {values}), ','), ']')"


def _kvlist_json(values: str) -> str:
    v = "p.value"
    scalar = _scalar_json(
        f"{v}.value",
        f"{v}.string_value",
        f"{v}.int_value",
        f"{v}.bool_value",
        f"{v}.double_value",
        f"{v}.bytes_value",
    )
    members = f"arrayStringConcat(arrayMap(p -> concat(toJSONString(p.key), ':', {scalar}), {values}), ',')"
    return (
        f"if(length({values}) = 1 AND {values}[1].key = {_quote(JSON_KEY)},"
        f" {values}[1].value.string_value, concat('{{', {members}, '}}'))"
    )


def _texts(attrs: str) -> str:
    """SQL for the values of an attribute list as an array of texts (see `spans.attributes`)."""
    value = f"{attrs}.value"
    return (
        "arrayMap((t, s, i, b, d, by, al, kl) -> multiIf(t = 'string_value', s, t = 'int_value', toString(i),"
        " t = 'bool_value', if(b, 'true', 'false'), t = 'double_value', toString(d),"
        f" t = 'array_value', {_array_json('al')}, t = 'kvlist_value', {_kvlist_json('kl')},"
        " t = 'bytes_value', base64Encode(by), ''),"
        f" {value}.value, {value}.string_value, {value}.int_value, {value}.bool_value, {value}.double_value,"
        f" {value}.bytes_value, {value}.array_value.values, {value}.kvlist_value.values)"
    )


def _nests_deeper(attrs: str) -> str:
    composite = "x -> x IN ('array_value', 'kvlist_value')"
    return (
        f"arrayExists(a -> arrayExists({composite}, a), {attrs}.value.array_value.values.value)"
        f" OR arrayExists(a -> arrayExists({composite}, a), {attrs}.value.kvlist_value.values.value.value)"
    )


def _map(keys: str, values: str) -> str:
    return f"CAST((CAST({keys}, 'Array(LowCardinality(String))'), {values}), 'Map(LowCardinality(String), String)')"


def _attribute_map(attrs: str) -> str:
    return _map(f"{attrs}.key", _texts(attrs))


_FLATTENED: Final = f"""\
SELECT project, received_at_unix_nano, batch, resource, resource_nests_deeper,
    scoped.scope.name AS scope_name, scoped.scope.version AS scope_version, arrayJoin(scoped.spans) AS span
FROM (
SELECT project, received_at_unix_nano, batch,
    {_attribute_map("resource_spans.resource.attributes")} AS resource,
    {_nests_deeper("resource_spans.resource.attributes")} AS resource_nests_deeper,
    arrayJoin(resource_spans.scope_spans) AS scoped
FROM (
SELECT envelope.project AS project, envelope.received_at_unix_nano AS received_at_unix_nano,
    envelope.batch AS batch, arrayJoin(envelope.request.resource_spans) AS resource_spans
FROM (SELECT arrayJoin(envelopes) AS envelope FROM otlp_inbox)
)
)
WHERE NOT (resource_nests_deeper
    OR {_nests_deeper("span.attributes")}
    OR arrayExists(e -> {_nests_deeper("e.attributes")}, span.events))"""


_ATTRIBUTES: Final = f"""\
project, received_at_unix_nano, batch, resource, scope_name, scope_version,
    span.trace_id AS trace_id, span.span_id AS span_id, span.parent_span_id AS parent_span_id, span.name AS name,
    span.start_time_unix_nano AS start_ns, span.end_time_unix_nano AS end_ns,
    span.status.code AS otlp_status, span.status.message AS status_message, span.links AS otlp_links,
    arrayMap(e -> (e.time_unix_nano, e.name, {_attribute_map("e.attributes")}), span.events) AS otlp_events,
    span.attributes.key AS keys,
    span.attributes.value.value AS types,
    {_texts("span.attributes")} AS texts"""


def _fields(slots: _Slots) -> str:
    return "*,\n    " + ",\n    ".join(f"{slots.text(field)} AS f_{field}" for field in FIELDS)


def _number(text: str) -> str:
    return f"toFloat64OrNull({text})"


def _count(text: str) -> str:
    """SQL for a count said as int, as double or as text; null where none or negative."""
    return f"accurateCastOrNull({_number(text)}, 'UInt64')"


def _last_message(text: str, role: str) -> str:
    """SQL for the readable text of the last message of a role, tool calls as name(arguments)."""
    shape = (
        "Array(Tuple(role String, content String,"
        " parts Array(Tuple(type String, content String, name String, arguments String, response String))))"
    )
    part = (
        "multiIf(p.type = 'tool_call', concat(p.name, '(', p.arguments, ')'),"
        " p.type = 'tool_call_response', p.response,"
        " p.type IN ('reasoning', 'blob', 'file', 'uri'), '', p.content)"
    )
    parts = f"arrayStringConcat(arrayFilter(x -> x != '', arrayMap(p -> {part}, m.parts)), '\\n')"
    return (
        f"arrayMap(m -> if(empty(m.parts), m.content, {parts}),"
        f" [arrayLast(m -> m.role = '{role}', JSONExtract({text}, '{shape}'))])[1]"
    )


def _kind_by_operation(dialects: Iterable[Dialect]) -> str:
    words = {word: kind for dialect in dialects for word, kind in dialect.operations.items()}
    return f"transform(f_operation, [{_strings(words)}], [{_strings(words.values())}], '')"


def _dialect(dialects: Iterable[Dialect]) -> str:
    listed = tuple(dialects)
    by_scope = [
        f"startsWith(scope_name, {_quote(scope)}), {_quote(dialect.id)}"
        for dialect in listed
        for scope in dialect.scopes
    ]
    by_attribute = [f"hasAny(keys, [{_strings(d.attributes)}]), {_quote(d.id)}" for d in listed]
    return f"multiIf({', '.join(by_scope + by_attribute)}, '')"


def _readings(dialects: Iterable[Dialect]) -> str:
    """What is read off the fields, each by itself."""
    listed = tuple(dialects)
    earliest_ns = int(EARLIEST.timestamp()) * 10**9
    return f"""\
*,
    fromUnixTimestamp64Nano(toInt64(received_at_unix_nano), 'UTC') AS received_at,
    start_ns < {earliest_ns} OR start_ns > received_at_unix_nano + {MAX_FUTURE_S * 10**9} AS start_is_senseless,
    end_ns < start_ns OR end_ns - start_ns > {MAX_DURATION_S * 10**9} AS duration_is_senseless,
    {_kind_by_operation(listed)} AS operation_kind,
    {_dialect(listed)} AS dialect,
    lower(f_provider) AS said_provider,
    if(f_error_type != '', f_error_type,
        otlp_events.3[indexOf(otlp_events.2, 'exception')]['exception.type']) AS error_class,
    coalesce(toUInt16OrNull(f_error_code), toUInt16OrNull(extract(status_message, '(?i)error code: (\\\\d{{3}})')))
        AS http_status,
    if(startsWith(f_finish_reasons, '['), JSONExtractString(f_finish_reasons, 1), f_finish_reasons)
        AS first_finish_reason,
    {_count("f_input_tokens")} AS said_input_tokens,
    {_count("f_output_tokens")} AS output_tokens,
    {_count("f_cache_read_tokens")} AS cache_read_tokens,
    {_count("f_cache_write_tokens")} AS cache_write_tokens,
    {_count("f_reasoning_tokens")} AS reasoning_tokens,
    {_last_message("f_input_messages", "user")} AS user_message,
    {_last_message("f_output_messages", "assistant")} AS assistant_message,
    arrayFilter(k -> startsWith(k, {_quote(attributes.METADATA_PREFIX)}), keys) AS metadata_keys,
    if(f_response_model != '', f_response_model, f_request_model) AS model"""


_CHOICES: Final = f"""\
*,
    fromUnixTimestamp64Nano(toInt64(if(start_is_senseless, received_at_unix_nano, start_ns)), 'UTC') AS start_time,
    if(duration_is_senseless, 0, end_ns - start_ns) AS duration_ns,
    multiIf(f_kind IN ({_strings(attributes.SPAN_KINDS)}), f_kind, operation_kind != '', operation_kind,
        f_request_model != '' AND f_input_tokens != '', 'generation', 'other') AS kind,
    {_mapping("said_provider", PROVIDERS)} AS provider,
    arrayElement(splitByChar('.', error_class), -1) AS error_type,
    if(http_status >= 400, http_status, NULL) AS error_code,
    if(first_finish_reason = '', JSONExtractString(f_output_messages, 1, 'finish_reason'), first_finish_reason)
        AS said_finish_reason,
    ifNull(cache_read_tokens, 0) + ifNull(cache_write_tokens, 0) AS said_cache_tokens,
    multiIf(user_message != '', user_message, f_input != '', f_input, f_retrieval_query != '', f_retrieval_query,
        f_input_messages) AS whole_input,
    multiIf(assistant_message != '', assistant_message, f_output != '', f_output, f_output_messages)
        AS whole_output"""


def _language(text: str) -> str:
    """SQL for a language told by its script; empty for Latin script, which many languages share."""
    cases = ", ".join(f"match({text}, {_quote(script)}), {_quote(code)}" for script, code in SCRIPTS.items())
    return f"if(isValidASCII({text}), '', multiIf({cases}, ''))"


_MENDED: Final = f"""\
*,
    {_mapping("said_finish_reason", FINISH_REASONS)} AS finish_reason,
    -- more cache than input: this SDK counts the cache beside the input, not inside it
    if(said_cache_tokens > said_input_tokens, said_input_tokens + said_cache_tokens, said_input_tokens)
        AS input_tokens,
    length(whole_input) > {MAX_TEXT_CHARS} AS input_is_long,
    length(whole_output) > {MAX_TEXT_CHARS} AS output_is_long,
    if(input_is_long, leftUTF8(whole_input, {MAX_TEXT_CHARS}), whole_input) AS input_text,
    if(output_is_long, leftUTF8(whole_output, {MAX_TEXT_CHARS}), whole_output) AS output_text,
    toDateTime(start_time, 'UTC') AS priced_at"""

_PRICED: Final = "c.*, p.*, c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL AS has_usage"

_PRICE_JOIN: Final = f"""\
FROM (SELECT {_MENDED} FROM otlp_readings) AS c
ASOF LEFT JOIN (
    SELECT provider AS p_provider, model AS p_model, valid_from, tier_starts, input_usd, output_usd,
        cache_read_usd, cache_write_usd, price_version AS p_version
    FROM model_prices FINAL) AS p
ON c.provider = p.p_provider AND c.model = p.p_model AND c.priced_at >= p.valid_from"""

_STATUS: Final = f"""\
multiIf(f_status IN ({_strings(KNOWN_STATUS)}), f_status,
        error_type IN ({_strings(CANCELLED_ERRORS)}), 'cancelled',
        otlp_status = 2 OR error_type != '' OR error_code IS NOT NULL, 'error',
        -- an aborted stream: no error was said, and no end
        finish_reason = 'error', 'cancelled',
        end_ns = 0, 'unknown', 'ok')"""

_METADATA: Final = _map(
    f"arrayMap(k -> substring(k, {len(attributes.METADATA_PREFIX) + 1}), metadata_keys)",
    "arrayMap(k -> texts[indexOf(keys, k)], metadata_keys)",
)

_COLUMNS: Final = f"""\
project,
    lower(hex(trace_id)) AS trace_id,
    lower(hex(span_id)) AS span_id,
    lower(hex(parent_span_id)) AS parent_span_id,
    start_time, duration_ns, name, kind,
    f_operation AS operation,
    dialect, scope_name, scope_version,
    resource['{attributes.SERVICE_NAME}'] AS service_name,
    if(mapContains(resource, '{attributes.ENVIRONMENT}'), resource['{attributes.ENVIRONMENT}'],
        resource['deployment.environment']) AS environment,
    resource['{attributes.SERVICE_VERSION}'] AS release,
    provider,
    f_request_model AS request_model,
    f_response_model AS response_model,
    f_response_id AS response_id,
    {_STATUS} AS status,
    error_type, error_code, status_message,
    multiIf(f_stream = 'true', true, f_stream = 'false', false, NULL) AS stream,
    {_number("f_ttft_s")} * 1000 AS ttft_ms,
    finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    if(has_usage, 'provider', 'none') AS usage_source,
    has_usage AND p_version != '' AND kind IN ('generation', 'embedding') AS is_priced,
    if(is_priced, {COST_USD.format(**{name: name for name in PRICE_ARRAYS})}, NULL) AS cost_usd,
    {_number("f_cost_reported_usd")} AS cost_reported_usd,
    if(is_priced, p_version, '') AS price_version,
    f_session_id AS session_id,
    f_user_id AS user_id,
    f_company_id AS company_id,
    JSONExtract(f_tags, 'Array(String)') AS tags,
    {_METADATA} AS metadata,
    f_prompt_name AS prompt_name,
    f_prompt_version AS prompt_version,
    f_cache_status AS cache_status,
    {_number("f_cache_similarity")} AS cache_similarity,
    toUInt16OrNull(f_attempt) AS attempt,
    f_fallback_of AS fallback_of,
    f_fallback_reason AS fallback_reason,
    {_language("input_text")} AS language,
    input_text, output_text,
    f_retrieval_query AS retrieval_query,
    JSONExtract(f_documents, 'Array(Tuple(id String, content String, score Nullable(Float64)))') AS documents,
    {_map("keys", "texts")} AS attributes,
    -- a deep array comes flattened as a key-value list with its JSON (see JSON_KEY)
    arrayMap((t, text) -> CAST(if(t = 'kvlist_value' AND startsWith(text, '['), toInt8(5), CAST(t, 'Int8')),
        {_quote(DDL_SLOTS["value_type"])}), types, texts) AS attribute_types,
    resource,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(least(e.1, {_MAX_INT64})), 'UTC'), e.2, e.3), otlp_events) AS events,
    arrayMap(l -> (lower(hex(l.trace_id)), lower(hex(l.span_id))), otlp_links) AS links,
    arrayFilter(f -> f != '', [
        if(start_is_senseless, 'start_time_clamped', ''),
        if(duration_is_senseless, 'duration_clamped', ''),
        if(input_is_long, 'input_text_truncated', ''),
        if(output_is_long, 'output_text_truncated', '')]) AS data_flags,
    batch, received_at"""


_UNSTORED: Final = """\
SELECT * EXCEPT (is_priced) FROM otlp_columns
WHERE (project, start_time, trace_id, span_id) NOT IN (
    SELECT project, start_time, trace_id, span_id FROM spans
    WHERE start_time IN (SELECT start_time FROM otlp_columns))
LIMIT 1 BY project, start_time, trace_id, span_id"""
