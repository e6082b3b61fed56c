-- The landing place of OTLP: one row is one batch of export requests, decoded by ClickHouse itself
-- (ProtobufSingle with proto/otlp_batch.proto). Nothing is stored here; the view `spans_from_otlp` reads
-- each inserted block and writes `spans`.
CREATE TABLE otlp_inbox{on_cluster}
(
    envelopes Array(Tuple(
        project String,
        received_at_unix_nano UInt64,
        batch String,
        request Tuple(
            resource_spans Array(Tuple(
                resource Tuple(attributes Array({key_value})),
                scope_spans Array(Tuple(
                    scope Tuple(name String, version String),
                    spans Array(Tuple(
                        trace_id String,
                        span_id String,
                        parent_span_id String,
                        name String,
                        kind UInt32,
                        start_time_unix_nano UInt64,
                        end_time_unix_nano UInt64,
                        attributes Array({key_value}),
                        events Array(Tuple(
                            time_unix_nano UInt64,
                            name String,
                            attributes Array({key_value})
                        )),
                        links Array(Tuple(trace_id String, span_id String)),
                        status Tuple(message String, code UInt32)
                    ))
                ))
            ))
        )
    ))
)
ENGINE = Null;

-- One row per span. Rows are unique by (project, start_time, trace_id, span_id): the view drops what is
-- already there, so a batch may be inserted any number of times. ReplacingMergeTree is the second line of
-- defence, for two collectors that take in the same span in the same instant.
CREATE TABLE spans{on_cluster}
(
    project LowCardinality(String),
    trace_id String,
    span_id String,
    parent_span_id String,
    start_time DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4),
    duration_ns UInt64,
    name LowCardinality(String),
    kind LowCardinality(String),
    operation LowCardinality(String),
    dialect LowCardinality(String),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    service_name LowCardinality(String),
    environment LowCardinality(String),
    release LowCardinality(String),
    provider LowCardinality(String),
    request_model LowCardinality(String),
    response_model LowCardinality(String),
    response_id String,
    status LowCardinality(String),
    error_type LowCardinality(String),
    error_code Nullable(UInt16) COMMENT 'HTTP status the provider answered with',
    status_message String,
    stream Nullable(Bool),
    ttft_ms Nullable(Float64),
    finish_reason LowCardinality(String),
    input_tokens Nullable(UInt64),
    output_tokens Nullable(UInt64),
    cache_read_tokens Nullable(UInt64),
    cache_write_tokens Nullable(UInt64),
    reasoning_tokens Nullable(UInt64),
    usage_source LowCardinality(String),
    cost_usd Nullable(Float64),
    cost_reported_usd Nullable(Float64),
    price_version LowCardinality(String),
    session_id String,
    user_id String,
    company_id LowCardinality(String),
    tags Array(LowCardinality(String)),
    metadata Map(LowCardinality(String), String),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    cache_status LowCardinality(String),
    cache_similarity Nullable(Float64),
    attempt Nullable(UInt16),
    fallback_of LowCardinality(String),
    fallback_reason LowCardinality(String),
    language LowCardinality(String),
    input_text String,
    output_text String,
    retrieval_query String,
    documents Array(Tuple(id String, content String, score Nullable(Float64))),
    attributes Map(LowCardinality(String), String) COMMENT 'as received; strings as they are, other types as JSON, bytes as base64',
    attribute_types Array({value_type}) COMMENT 'OTLP type of each attribute, in the order of mapKeys(attributes)',
    resource Map(LowCardinality(String), String),
    events Array(Tuple(time DateTime64(9, 'UTC'), name LowCardinality(String), attributes Map(LowCardinality(String), String))),
    links Array(Tuple(trace_id String, span_id String)),
    data_flags Array(LowCardinality(String)) COMMENT 'what had to be mended: start_time_clamped, duration_clamped, input_text_truncated, output_text_truncated',
    duplicate_of String COMMENT 'trace_id:span_id of the billable row that reports the same model call; empty on the billable one',
    batch LowCardinality(String),
    received_at DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {engine}ReplacingMergeTree(received_at)
PARTITION BY toDate(start_time)
ORDER BY (project, start_time, trace_id, span_id)
SETTINGS
    -- a flush must not write a file a column: compact until a merge makes it worth while
    min_bytes_for_wide_part = 268435456,
    -- what the inbox forgets must be on stable storage here
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    -- `duplicate_of` is set by lightweight updates
    enable_block_number_column = 1,
    enable_block_offset_column = 1;

-- One row per judgement of a span, a trace or a session. A score sent again with the same score_id replaces
-- the earlier one.
CREATE TABLE scores{on_cluster}
(
    score_id String,
    project LowCardinality(String),
    trace_id String,
    span_id String,
    session_id String,
    name LowCardinality(String),
    value Nullable(Float64),
    label LowCardinality(String),
    comment String,
    source LowCardinality(String),
    author String,
    evaluator_version LowCardinality(String),
    inclusion_probability Nullable(Float64),
    cost_usd Nullable(Float64),
    created_at DateTime64(9, 'UTC'),
    received_at DateTime64(9, 'UTC'),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_time created_at TYPE minmax GRANULARITY 4
)
ENGINE = {engine}ReplacingMergeTree(received_at)
ORDER BY (project, score_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
