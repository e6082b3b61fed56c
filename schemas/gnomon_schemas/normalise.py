"""The ingest: SQL views that turn a batch of OTLP requests into rows of `spans`.

The SQL is built from the dialect files, so a new dialect is data. A batch passes a chain of Null tables, each
filled by a view on the one before: spans with their attributes as text -> fields by dialect -> readings and
choices between them -> canonical columns with the price -> `spans`, less what is already stored.

Decoding in the database instead of Python: ADR 0001. Unique by key at insert: ADR 0002.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gnomon_schemas import attributes, bodies
from gnomon_schemas.dialects import FIELDS, Dialect, load_dialects, with_trait
from gnomon_schemas.language import call_language
from gnomon_schemas.otlp import DDL_SLOTS, JSON_KEY
from gnomon_schemas.prices import CACHE_VERSION, COST_USD, IS_CACHE_HIT, PRICE_ARRAYS
from gnomon_schemas.recognition import (
    event_text,
    fields_select,
    kind_by_attribute,
    kind_by_name,
    kind_by_operation,
)
from gnomon_schemas.sqltext import mapped, one_of, quoted, strings
from gnomon_schemas.usage_details import service_tier, usage_details
from gnomon_schemas.vocabulary import FINISH_REASONS, PROVIDERS

MAX_TEXT_CHARS: Final = 8192
"""How much of a call's input and output text is kept in `input_text` and `output_text`."""

MAX_FUTURE_S: Final = 3600
"""A start time further ahead of its receipt is taken for a broken clock."""

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A start time before this is taken for a broken clock."""

MAX_DURATION_S: Final = 7 * 86400

CANCELLED_ERRORS: Final = (
    "CancelledError",
    "GeneratorExit",
    "KeyboardInterrupt",
    "AbortError",
    "ClientDisconnect",
)
KNOWN_STATUS: Final = ("ok", "error", "cancelled")
_SAID_FIELDS: Final = (
    *(
        "operation",
        "status",
        "response_model",
        "response_id",
        "cost_reported_usd",
        "cost",
        "session_id",
        "user_id",
    ),
    *("company_id", "tags", "metadata", "prompt_name", "prompt_version", "cache_status", "cache_similarity"),
    *("attempt", "fallback_of", "fallback_reason", "retrieval_query", "documents"),
)
"""Fields of which columns are made as they are."""

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
    return (
        Stage("otlp_spans", _select(_ATTRIBUTES, _FLATTENED)),
        Stage("otlp_fields", fields_select(dialects, "otlp_spans")),
        Stage("otlp_bodies", bodies.bodies_select("otlp_fields")),
        Stage("otlp_readings", _select(_CHOICES, f"SELECT {_readings(dialects)}\nFROM otlp_bodies")),
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


def _scalar_json(t: str, s: str, i: str, b: str, d: str, by: str) -> str:
    return (
        f"multiIf({t} = 'string_value', toJSONString({s}), {t} = 'int_value', toString({i}),"
        f" {t} = 'bool_value', if({b}, 'true', 'false'), {t} = 'double_value', toJSONString({d}),"
        f" {t} = 'bytes_value', toJSONString(base64Encode({by})), 'null')"
    )


def _texts(attrs: str) -> str:
    """SQL for the values of an attribute list as an array of texts (see `spans.attributes`)."""
    value = f"{attrs}.value"
    return (
        "arrayMap((t, s, i, b, d, by, al, kl) -> multiIf(t = 'string_value', s, t = 'int_value', toString(i),"
        " t = 'bool_value', if(b, 'true', 'false'), t = 'double_value', toString(d),"
        f" t IN ('array_value', 'kvlist_value'), {_composite_json()}, t = 'bytes_value', base64Encode(by), ''),"
        f" {value}.value, {value}.string_value, {value}.int_value, {value}.bool_value, {value}.double_value,"
        f" {value}.bytes_value, {value}.array_value.values, {value}.kvlist_value.values)"
    )


def _composite_json() -> str:
    """SQL for `al`, the values of an array, or `kl`, a key-value list, as JSON: one of them is empty."""
    element = _scalar_json(
        "v.value", "v.string_value", "v.int_value", "v.bool_value", "v.double_value", "v.bytes_value"
    )
    members = (
        "arrayStringConcat(arrayMap((key, element) -> concat(toJSONString(key), ':', element),"
        " arrayResize(kl.key, length(elements)), elements), ',')"
    )
    composite = (
        "multiIf(t = 'array_value', concat('[', arrayStringConcat(elements, ','), ']'),"
        f" length(kl) = 1 AND kl[1].key = {quoted(JSON_KEY)}, kl[1].value.string_value,"
        f" concat('{{', {members}, '}}'))"
    )
    return f"arrayMap(elements -> {composite}, [arrayMap(v -> {element}, arrayConcat(al, kl.value))])[1]"


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


def _number(text: str) -> str:
    return f"toFloat64OrNull({text})"


def _readings(dialects: Sequence[Dialect]) -> str:
    """What is read off the fields and the provider's JSON, each by itself."""
    earliest_ns = int(EARLIEST.timestamp()) * 10**9
    error_text = "if(status_message = '', exception_message, status_message)"
    return f"""\
* EXCEPT (request, response, usages, f_usage, said_details),
    fromUnixTimestamp64Nano(toInt64(received_at_unix_nano), 'UTC') AS received_at,
    start_ns < {earliest_ns} OR start_ns > received_at_unix_nano + {MAX_FUTURE_S * 10**9} AS start_is_senseless,
    end_ns < start_ns OR end_ns - start_ns > {MAX_DURATION_S * 10**9} AS duration_is_senseless,
    {kind_by_name(dialects, kind_by_operation(dialects))} AS operation_kind,
    lower(f_provider) AS said_provider,
    multiIf(f_error_type != '', f_error_type,
        -- LangSmith has the class in the message alone
        exception_type = 'Exception' AND match(exception_message, '^[A-Za-z_]+[(]'),
        extract(exception_message, '^([A-Za-z_]+)[(]'), exception_type) AS error_class,
    coalesce(toUInt16OrNull(f_error_code),
        toUInt16OrNull(extract({error_text}, '(?i)error code: (\\\\d{{3}})'))) AS http_status,
    {bodies.FINISH_REASON} AS first_finish_reason,
    {bodies.used("input_tokens", 1)} AS seen_input_tokens,
    {bodies.used("output_tokens", 2)} AS seen_output_tokens,
    {bodies.used("cache_read_tokens", 3)} AS seen_cache_read_tokens,
    {bodies.used("cache_write_tokens", 4)} AS seen_cache_write_tokens,
    {bodies.used("reasoning_tokens", 5)} AS reasoning_tokens,
    {usage_details(dialects)} AS usage_details,
    {service_tier()} AS service_tier,
    multiIf(f_stream = 'true', true, f_stream = 'false', false, request.stream) AS said_stream,
    arrayFirst(e -> {one_of("e.2", _first_token_events(dialects))}, otlp_events).1 AS first_token_ns,
    {bodies.last_messages()} AS last_messages,
    {bodies.flat_messages()} AS flat_messages,
    {bodies.RESPONSE_TEXT} AS response_text,
    arrayFilter(k -> {_starts_with_one("k", _metadata_prefixes(dialects))}, keys) AS metadata_keys,
    if(f_request_model != '', f_request_model, request.model) AS request_model,
    if(f_response_model != '', f_response_model, response.model) AS said_response_model,
    {bodies.RESPONSE_ID} AS said_response_id,
    request.query AS said_query,
    parseDateTime64BestEffortOrNull(f_first_token_at, 9, 'UTC') AS first_token_time,
    {event_text(dialects, "input")} AS event_input,
    {event_text(dialects, "output")} AS event_output,
    {event_text(dialects, "finish_reasons")} AS event_finish_reason"""


def _first_token_events(dialects: Sequence[Dialect]) -> list[str]:
    return [event for dialect in dialects for event in dialect.first_token_events]


def _metadata_prefixes(dialects: Sequence[Dialect]) -> list[str]:
    return [prefix for dialect in dialects for prefix in dialect.metadata_prefixes]


def _starts_with_one(text: str, prefixes: Sequence[str]) -> str:
    return " OR ".join(f"startsWith({text}, {quoted(prefix)})" for prefix in prefixes)


# What no later step reads goes no further: every column costs in each step, and in the join.
_CONSUMED: Final = ", ".join(
    (
        *(f"f_{field}" for field in FIELDS if field not in (*_SAID_FIELDS, "usage")),
        *("input_messages", "output_messages", "exception_type", "exception_message", "operation_kind"),
        *("said_provider", "error_class", "http_status", "first_finish_reason", "first_token_ns"),
        *("first_token_time", "last_messages", "flat_messages", "response_text", "said_query"),
        *("late_events", "event_input", "event_output", "event_finish_reason"),
        *(f"seen_{kind}_tokens" for kind in ("input", "output", "cache_read", "cache_write")),
    )
)


def _or_itself(text: str) -> str:
    """SQL for the readable text in a list of parts, or the list where it has none."""
    return f"coalesce(nullIf({bodies.readable(text)}, ''), {text})"


_ALWAYS_SAYS_TTFT: Final = one_of("dialect", with_trait("always_says_ttft"))

_CHOICES: Final = f"""\
* EXCEPT ({_CONSUMED}),
    -- a span without length that says how long its call took stands at the call's end
    if(duration_is_senseless OR end_ns > start_ns OR f_duration_s = '', toUInt64(0),
        toUInt64(ifNull(least(greatest({_number("f_duration_s")}, 0), {MAX_DURATION_S}), 0) * 1e9)) AS said_duration_ns,
    fromUnixTimestamp64Nano(toInt64(if(start_is_senseless, received_at_unix_nano, start_ns))
        - toInt64(said_duration_ns), 'UTC') AS start_time,
    multiIf(f_kind IN ({strings(attributes.SPAN_KINDS)}), f_kind, operation_kind != '', operation_kind,
        f_request_model != '' AND (seen_input_tokens IS NOT NULL OR seen_output_tokens IS NOT NULL), 'generation',
        {kind_by_attribute(load_dialects(), "'other'")}) AS kind,
    {mapped("said_provider", PROVIDERS, "said_provider")} AS provider,
    if(said_response_model != '', said_response_model, request_model) AS model,
    -- some send a class as Python prints it
    trim(TRAILING '\\'>' FROM arrayElement(splitByChar('.', error_class), -1)) AS error_type,
    if(http_status >= 400, http_status, NULL) AS error_code,
    multiIf(first_finish_reason != '', first_finish_reason,
        f_output_messages != '', JSONExtractString(f_output_messages, 1, 'finish_reason'),
        event_finish_reason) AS said_finish_reason,
    {one_of("dialect", with_trait("zero_usage_is_unknown"))} AND ifNull(seen_input_tokens, 0) = 0
        AND ifNull(seen_output_tokens, 0) = 0 AS usage_is_unknown,
    if(usage_is_unknown, NULL, seen_input_tokens) AS said_input_tokens,
    -- more reasoning than output: this provider counts it beside the output, not inside it
    if(usage_is_unknown, NULL, if(reasoning_tokens > seen_output_tokens, seen_output_tokens + reasoning_tokens,
        seen_output_tokens)) AS output_tokens,
    -- some say 0 of what an embedding cannot have
    NOT usage_is_unknown AND operation_kind != 'embedding' AS has_cache,
    if(has_cache, seen_cache_read_tokens, NULL) AS cache_read_tokens,
    if(has_cache, seen_cache_write_tokens, NULL) AS cache_write_tokens,
    coalesce({_number("f_ttft_s")} * 1000, {_number("f_ttft_ms")},
        if(first_token_ns > start_ns, (first_token_ns - start_ns) / 1e6, NULL),
        (toUnixTimestamp64Nano(first_token_time) - toInt64(start_ns)) / 1e6) AS said_ttft_ms,
    multiIf(flat_messages[1] != '', flat_messages[1], last_messages[1] != '', {bodies.readable("last_messages[1]")},
        f_input != '', f_input, said_query != '', said_query, f_retrieval_query != '', f_retrieval_query,
        input_messages != '', input_messages, f_request != '', f_request, {_or_itself("event_input")})
        AS whole_input,
    multiIf(flat_messages[2] != '', flat_messages[2],
        last_messages[2] != '', {bodies.readable("last_messages[2]")}, response_text != '', response_text,
        f_output != '', f_output, f_output_messages != '',
        if({bodies.SAYS_NOTHING}, '', f_output_messages), f_response NOT IN ('', 'null'), f_response,
        {_or_itself("event_output")}) AS whole_output"""


def _decoded(text: str) -> str:
    """SQL for a text in which JSON's escapes are letters again: half of the SDKs send no other Cyrillic."""
    return (
        f"if(position({text}, '\\\\u') > 0 AND isValidJSON({text}),"
        f" JSONExtractRaw(concat('{{\"x\":', {text}, '}}'), 'x'), {text})"
    )


def _cut(text: str) -> str:
    # by bytes first, which costs nothing; characters may be fewer
    return f"if(length({text}) > {MAX_TEXT_CHARS}, leftUTF8({text}, {MAX_TEXT_CHARS}), {text})"


def _exclusive(dialects: Sequence[Dialect]) -> str:
    """SQL for a span's dialect counting its provider's input tokens beside the cache."""
    whole = [dialect.id for dialect in dialects if "*" in dialect.exclusive_providers]
    pairs = [f"{dialect.id} {provider}" for dialect in dialects for provider in dialect.exclusive_providers]
    pair = "concat(dialect, ' ', provider)"
    return f"({one_of('dialect', whole)} OR {one_of(pair, pairs)})"


_MENDED: Final = f"""\
*,
    if(duration_is_senseless, toUInt64(0), toUInt64(end_ns - start_ns) + said_duration_ns) AS duration_ns,
    ifNull(cache_read_tokens, 0) + ifNull(cache_write_tokens, 0) AS said_cache_tokens,
    coalesce(said_stream, if((said_ttft_ms IS NULL OR {_ALWAYS_SAYS_TTFT}) AND said_duration_ns = 0, NULL, true))
        AS stream,
    {mapped("said_finish_reason", FINISH_REASONS, "said_finish_reason")} AS finish_reason,
    -- more cache than input: this SDK counts the cache beside the input, not inside it
    if(said_cache_tokens > said_input_tokens OR {_exclusive(load_dialects())}, said_input_tokens + said_cache_tokens,
        said_input_tokens) AS input_tokens,
    {_decoded("whole_input")} AS decoded_input,
    {_decoded("whole_output")} AS decoded_output,
    toDateTime(start_time, 'UTC') AS priced_at"""

_PRICED: Final = "c.*, p.*, c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL AS has_usage"

_PRICE_JOIN: Final = f"""\
FROM (SELECT {_MENDED} FROM otlp_readings) AS c
ASOF LEFT JOIN (
    SELECT provider AS p_provider, model AS p_model, valid_from, {", ".join(PRICE_ARRAYS)},
        price_version AS p_version
    FROM model_prices FINAL) AS p
ON c.provider = p.p_provider AND c.model = p.p_model AND c.priced_at >= p.valid_from"""

_STATUS: Final = f"""\
multiIf(lower(f_status) IN ({strings(KNOWN_STATUS)}), lower(f_status),
        error_type IN ({strings(CANCELLED_ERRORS)}), 'cancelled',
        otlp_status = 2 OR error_type != '' OR error_code IS NOT NULL, 'error',
        -- an aborted stream: no error was said, and no end
        finish_reason = 'error', if({one_of("dialect", with_trait("finish_error_is_abort"))}, 'cancelled', 'error'),
        kind = 'generation' AND finish_reason = '' AND output_tokens IS NULL
            AND ({one_of("dialect", with_trait("always_says_finish"))}
            OR stream AND {one_of("dialect", with_trait("always_says_stream_finish"))}), 'cancelled',
        end_ns = 0, 'unknown', 'ok')"""

_METADATA: Final = _map(
    # a longer prefix than the first one would do as well: what stands before the name is never part of it
    f"arrayMap(k -> replaceRegexpOne(k, '^({'|'.join(_metadata_prefixes(load_dialects())).replace('.', '[.]')})', ''),"
    " metadata_keys)",
    "arrayMap(k -> texts[indexOf(keys, k)], metadata_keys)",
)
_METADATA_OBJECT: Final = (
    "CAST(JSONExtractKeysAndValues(f_metadata, 'String'), 'Map(LowCardinality(String), String)')"
)
_ZERO_COST: Final = one_of("dialect", with_trait("zero_cost_is_unknown"))
_COST_REPORTED_USD: Final = (
    f"coalesce({_number('f_cost_reported_usd')}, JSONExtract(f_cost, 'total', 'Nullable(Float64)'))"
)
_LISTED_DOCUMENTS: Final = (
    "arrayMap(d -> (d.id, coalesce(nullIf(d.content, ''), nullIf(d.page_content, ''), d.text),"
    " coalesce(d.score, d.metadata.score)), JSONExtract("
    "multiIf(startsWith(f_documents, '['), f_documents, kind = 'retrieval' AND startsWith(whole_output, '['),"
    " whole_output, kind = 'retrieval', JSONExtractRaw(whole_output, 'documents'), ''),"
    " 'Array(Tuple(id String, content String, page_content String, text String, score Nullable(Float64),"
    " metadata Tuple(score Nullable(Float64))))'))"
)
# OpenInference's, an attribute for each fact of each
_FLAT_DOCUMENT: Final = "match(k, '^retrieval[.]documents[.][0-9]+[.]document[.]content$')"
_FLAT_DOCUMENTS: Final = (
    "arrayMap(k -> (texts[indexOf(keys, replaceOne(k, '.content', '.id'))], texts[indexOf(keys, k)],"
    " toFloat64OrNull(texts[indexOf(keys, replaceOne(k, '.content', '.score'))])),"
    f" arraySort(k -> (length(k), k), arrayFilter(k -> {_FLAT_DOCUMENT}, keys)))"
)
_DOCUMENTS: Final = (
    f"if(kind = 'retrieval' AND dialect = 'openinference' AND arrayExists(k -> {_FLAT_DOCUMENT}, keys),"
    f" {_FLAT_DOCUMENTS}, {_LISTED_DOCUMENTS})"
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
    request_model,
    -- any JSON may have an id; that of a call is the response's
    if(kind IN ('generation', 'embedding'), said_response_model, f_response_model) AS response_model,
    if(kind IN ('generation', 'embedding'), said_response_id, f_response_id) AS response_id,
    {_STATUS} AS status,
    error_type, error_code, status_message,
    stream,
    if(said_ttft_ms >= 0 AND ifNull(stream, NOT {_ALWAYS_SAYS_TTFT}), said_ttft_ms, NULL) AS ttft_ms,
    finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details,
    service_tier,
    multiIf(NOT has_usage, 'none', stream AND ifNull(cache_read_tokens, 0) = 0
        AND {one_of("dialect", with_trait("invents_stream_usage"))}, 'sdk_estimate', 'provider') AS usage_source,
    kind IN ('generation', 'embedding') AND {IS_CACHE_HIT} AS is_free,
    has_usage AND p_version != '' AND kind IN ('generation', 'embedding') AS is_priced,
    multiIf(is_free, 0., is_priced, {COST_USD.format(**{name: name for name in PRICE_ARRAYS})}, NULL) AS cost_usd,
    nullIf({_COST_REPORTED_USD}, if({_ZERO_COST}, 0, NULL)) AS cost_reported_usd,
    multiIf(is_free, {quoted(CACHE_VERSION)}, is_priced, p_version, '') AS price_version,
    -- Logfire strikes out what looks like a secret
    if(startsWith(f_session_id, '[Scrubbed due to'), '', f_session_id) AS session_id,
    f_user_id AS user_id,
    f_company_id AS company_id,
    if(startsWith(f_tags, '['), JSONExtract(f_tags, 'Array(String)'),
        arrayFilter(t -> t != '', splitByChar(',', f_tags))) AS tags,
    mapConcat({_METADATA_OBJECT}, {_METADATA}) AS metadata,
    f_prompt_name AS prompt_name,
    f_prompt_version AS prompt_version,
    f_cache_status AS cache_status,
    {_number("f_cache_similarity")} AS cache_similarity,
    toUInt16OrNull(f_attempt) AS attempt,
    f_fallback_of AS fallback_of,
    f_fallback_reason AS fallback_reason,
    {call_language("decoded_input", "decoded_output")} AS language,
    {_cut("decoded_input")} AS input_text,
    {_cut("decoded_output")} AS output_text,
    if(f_retrieval_query = '' AND kind = 'retrieval', input_text, f_retrieval_query) AS retrieval_query,
    {_DOCUMENTS} AS documents,
    {_map("keys", "texts")} AS attributes,
    -- a deep array comes flattened as a key-value list with its JSON (see JSON_KEY)
    arrayMap((t, text) -> CAST(if(t = 'kvlist_value' AND startsWith(text, '['), toInt8(5), CAST(t, 'Int8')),
        {quoted(DDL_SLOTS["value_type"])}), types, texts) AS attribute_types,
    resource,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(least(e.1, {_MAX_INT64})), 'UTC'), e.2, e.3), otlp_events) AS events,
    arrayMap(l -> (lower(hex(l.trace_id)), lower(hex(l.span_id))), otlp_links) AS links,
    arrayFilter(f -> f != '', [
        if(start_is_senseless, 'start_time_clamped', ''),
        if(duration_is_senseless, 'duration_clamped', ''),
        if(length(input_text) < length(decoded_input), 'input_text_truncated', ''),
        if(length(output_text) < length(decoded_output), 'output_text_truncated', '')]) AS data_flags,
    batch, received_at"""


_UNSTORED: Final = """\
SELECT * EXCEPT (is_free, is_priced) FROM otlp_columns
WHERE (project, start_time, trace_id, span_id) NOT IN (
    SELECT project, start_time, trace_id, span_id FROM spans
    WHERE start_time IN (SELECT start_time FROM otlp_columns))
    AND (project, trace_id) NOT IN (
    SELECT project, trace_id FROM erased_traces
    WHERE (project, trace_id) IN (SELECT project, trace_id FROM otlp_columns))
    -- one of senseless time has that of its receipt, another each time it is sent: known by its trace
    AND NOT (has(data_flags, 'start_time_clamped') AND (project, trace_id, span_id) IN (
    SELECT project, trace_id, span_id FROM spans
    WHERE (project, trace_id) IN (
        SELECT project, trace_id FROM otlp_columns WHERE has(data_flags, 'start_time_clamped'))
        AND has(data_flags, 'start_time_clamped')))
LIMIT 1 BY project, if(has(data_flags, 'start_time_clamped'), fromUnixTimestamp64Nano(0, 'UTC'), start_time),
    trace_id, span_id"""
