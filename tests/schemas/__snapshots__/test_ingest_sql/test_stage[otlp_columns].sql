SELECT project,
    lower(hex(trace_id)) AS trace_id,
    lower(hex(span_id)) AS span_id,
    lower(hex(parent_span_id)) AS parent_span_id,
    start_time, duration_ns, name, kind,
    f_operation AS operation,
    dialect, scope_name, scope_version,
    resource['service.name'] AS service_name,
    if(mapContains(resource, 'deployment.environment.name'), resource['deployment.environment.name'],
        resource['deployment.environment']) AS environment,
    resource['service.version'] AS release,
    provider,
    request_model,
    -- any JSON may have an id; that of a call is the response's
    if(kind IN ('generation', 'embedding'), said_response_model, f_response_model) AS response_model,
    if(kind IN ('generation', 'embedding'), said_response_id, f_response_id) AS response_id,
    multiIf(lower(f_status) IN ('ok', 'error', 'cancelled'), lower(f_status),
        error_type IN ('CancelledError', 'GeneratorExit', 'KeyboardInterrupt', 'AbortError', 'ClientDisconnect'), 'cancelled',
        otlp_status = 2 OR error_type != '' OR error_code IS NOT NULL, 'error',
        -- an aborted stream: no error was said, and no end
        finish_reason = 'error', if(dialect IN ('gnomon', 'otel-genai'), 'cancelled', 'error'),
        kind = 'generation' AND finish_reason = '' AND output_tokens IS NULL
            AND (dialect IN ('vercel-ai-7')
            OR stream AND dialect IN ('openinference', 'langfuse', 'openllmetry')), 'cancelled',
        end_ns = 0, 'unknown', 'ok') AS status,
    error_type, error_code, status_message,
    stream,
    if(said_ttft_ms >= 0, said_ttft_ms, NULL) AS ttft_ms,
    finish_reason, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    multiIf(NOT has_usage, 'none', stream AND ifNull(cache_read_tokens, 0) = 0
        AND dialect IN ('openlit'), 'sdk_estimate', 'provider') AS usage_source,
    kind IN ('generation', 'embedding') AND lower(cache_status) IN ('hit', 'semantic_hit') AS is_free,
    has_usage AND p_version != '' AND kind IN ('generation', 'embedding') AS is_priced,
    multiIf(is_free, 0., is_priced, arrayMap((rate, tokens, read, written, reasoned) -> (
        (tokens - read - written) * ifNull(input_usd[rate], 0)
        + read * coalesce(cache_read_usd[rate], input_usd[rate], 0)
        + written * coalesce(cache_write_usd[rate], input_usd[rate], 0)
        + (ifNull(output_tokens, 0) - reasoned) * ifNull(output_usd[rate], 0)
        + reasoned * coalesce(reasoning_usd[rate], output_usd[rate], 0)
        + ifNull(request_usd[rate], 0)) / 1e6,
    [arrayLastIndex((start, since, until) -> (start = 0 OR ifNull(input_tokens, 0) > start)
            AND toUnixTimestamp(start_time) % 86400 >= since AND toUnixTimestamp(start_time) % 86400 < until,
        tier_starts, from_s, until_s)],
    [ifNull(input_tokens, 0)],
    [least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0))],
    [least(ifNull(cache_write_tokens, 0),
        ifNull(input_tokens, 0) - least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0)))],
    [least(ifNull(reasoning_tokens, 0), ifNull(output_tokens, 0))])[1], NULL) AS cost_usd,
    nullIf(coalesce(toFloat64OrNull(f_cost_reported_usd), JSONExtract(f_cost, 'total', 'Nullable(Float64)')), if(dialect IN ('langfuse', 'openlit'), 0, NULL)) AS cost_reported_usd,
    multiIf(is_free, 'app cache', is_priced, p_version, '') AS price_version,
    f_session_id AS session_id,
    f_user_id AS user_id,
    f_company_id AS company_id,
    if(startsWith(f_tags, '['), JSONExtract(f_tags, 'Array(String)'),
        arrayFilter(t -> t != '', splitByChar(',', f_tags))) AS tags,
    mapConcat(CAST(JSONExtractKeysAndValues(f_metadata, 'String'), 'Map(LowCardinality(String), String)'), CAST((CAST(arrayMap(k -> replaceRegexpOne(k, '^(gnomon[.]metadata[.]|langfuse[.]trace[.]metadata[.]|ai[.]telemetry[.]metadata[.]|langsmith[.]metadata[.]|traceloop[.]association[.]properties[.])', ''), metadata_keys), 'Array(LowCardinality(String))'), arrayMap(k -> texts[indexOf(keys, k)], metadata_keys)), 'Map(LowCardinality(String), String)')) AS metadata,
    f_prompt_name AS prompt_name,
    f_prompt_version AS prompt_version,
    f_cache_status AS cache_status,
    toFloat64OrNull(f_cache_similarity) AS cache_similarity,
    toUInt16OrNull(f_attempt) AS attempt,
    f_fallback_of AS fallback_of,
    f_fallback_reason AS fallback_reason,
    if(isValidASCII(input_text), '', multiIf(match(input_text, '[\\x{3040}-\\x{30FF}]'), 'ja', match(input_text, '[\\x{AC00}-\\x{D7AF}]'), 'ko', match(input_text, '[\\x{4E00}-\\x{9FFF}]'), 'zh', match(input_text, '[іїєґІЇЄҐ]'), 'uk', match(input_text, '[\\x{0400}-\\x{04FF}]'), 'ru', match(input_text, '[\\x{0590}-\\x{05FF}]'), 'he', match(input_text, '[\\x{0600}-\\x{06FF}]'), 'ar', match(input_text, '[\\x{0370}-\\x{03FF}]'), 'el', match(input_text, '[\\x{0900}-\\x{097F}]'), 'hi', '')) AS language,
    input_text, output_text,
    if(f_retrieval_query = '' AND kind = 'retrieval', input_text, f_retrieval_query) AS retrieval_query,
    arrayMap(d -> (d.id, coalesce(nullIf(d.content, ''), nullIf(d.page_content, ''), d.text), coalesce(d.score, d.metadata.score)), JSONExtract(multiIf(startsWith(f_documents, '['), f_documents, kind = 'retrieval' AND startsWith(whole_output, '['), whole_output, kind = 'retrieval', JSONExtractRaw(whole_output, 'documents'), ''), 'Array(Tuple(id String, content String, page_content String, text String, score Nullable(Float64), metadata Tuple(score Nullable(Float64))))')) AS documents,
    CAST((CAST(keys, 'Array(LowCardinality(String))'), texts), 'Map(LowCardinality(String), String)') AS attributes,
    -- a deep array comes flattened as a key-value list with its JSON (see JSON_KEY)
    arrayMap((t, text) -> CAST(if(t = 'kvlist_value' AND startsWith(text, '['), toInt8(5), CAST(t, 'Int8')),
        'Enum8(\'none\' = 0, \'string\' = 1, \'bool\' = 2, \'int\' = 3, \'double\' = 4, \'array\' = 5, \'kvlist\' = 6, \'bytes\' = 7)'), types, texts) AS attribute_types,
    resource,
    arrayMap(e -> (fromUnixTimestamp64Nano(toInt64(least(e.1, 9223372036854775807)), 'UTC'), e.2, e.3), otlp_events) AS events,
    arrayMap(l -> (lower(hex(l.trace_id)), lower(hex(l.span_id))), otlp_links) AS links,
    arrayFilter(f -> f != '', [
        if(start_is_senseless, 'start_time_clamped', ''),
        if(duration_is_senseless, 'duration_clamped', ''),
        if(input_is_cut, 'input_text_truncated', ''),
        if(output_is_cut, 'output_text_truncated', '')]) AS data_flags,
    batch, received_at
FROM (
SELECT c.*, p.*, c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL AS has_usage
FROM (SELECT *,
    transform(said_finish_reason, ['tool_calls', 'tool-calls', 'tool_use', 'function_call', 'end_turn', 'stop_sequence', 'completed', 'max_tokens', 'max_output_tokens', 'incomplete', 'content-filter', 'refusal', 'failed'], ['tool_call', 'tool_call', 'tool_call', 'tool_call', 'stop', 'stop', 'stop', 'length', 'length', 'length', 'content_filter', 'content_filter', 'error'], said_finish_reason) AS finish_reason,
    -- more cache than input: this SDK counts the cache beside the input, not inside it
    if(said_cache_tokens > said_input_tokens OR concat(dialect, ' ', provider) IN ('openlit anthropic'), said_input_tokens + said_cache_tokens,
        said_input_tokens) AS input_tokens,
    if(position(whole_input, '\\u') > 0 AND isValidJSON(whole_input), JSONExtractRaw(concat('{"x":', whole_input, '}'), 'x'), whole_input) AS decoded_input,
    if(position(whole_output, '\\u') > 0 AND isValidJSON(whole_output), JSONExtractRaw(concat('{"x":', whole_output, '}'), 'x'), whole_output) AS decoded_output,
    -- by bytes first, which costs nothing; characters may be fewer
    if(length(decoded_input) > 8192, leftUTF8(decoded_input, 8192), decoded_input)
        AS input_text,
    if(length(decoded_output) > 8192, leftUTF8(decoded_output, 8192), decoded_output)
        AS output_text,
    length(input_text) < length(decoded_input) AS input_is_cut,
    length(output_text) < length(decoded_output) AS output_is_cut,
    toDateTime(start_time, 'UTC') AS priced_at FROM otlp_readings) AS c
ASOF LEFT JOIN (
    SELECT provider AS p_provider, model AS p_model, valid_from, tier_starts, from_s, until_s, input_usd, output_usd, cache_read_usd, cache_write_usd, reasoning_usd, request_usd,
        price_version AS p_version
    FROM model_prices FINAL) AS p
ON c.provider = p.p_provider AND c.model = p.p_model AND c.priced_at >= p.valid_from
)
