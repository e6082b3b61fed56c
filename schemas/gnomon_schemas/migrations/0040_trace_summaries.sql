-- One row per trace: what lists of traces are sorted and filtered by. A row is a pure function of the spans of
-- its trace, computed anew when some of them came, changed or went; the newest version wins and may say that
-- the row is gone. Read with FINAL, and only within what `trace_coverage` says is computed.
CREATE TABLE trace_summaries{on_cluster}
(
    project LowCardinality(String),
    trace_id String,
    start_time DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4) COMMENT 'of its first span',
    last_start_time DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4) COMMENT 'of its last span',
    status LowCardinality(String),
    name LowCardinality(String),
    latency_ms Float64,
    input String COMMENT 'its first characters' CODEC(ZSTD(1)),
    output String COMMENT 'its first characters' CODEC(ZSTD(1)),
    model LowCardinality(String) COMMENT 'all that its calls used, in order, with commas',
    tokens Nullable(UInt64),
    cost_usd Nullable(Float64),
    user_id String,
    service LowCardinality(String),
    environment LowCardinality(String),
    kind LowCardinality(String),
    session_id String,
    company LowCardinality(String),
    prompt LowCardinality(String),
    prompt_version LowCardinality(String),
    release LowCardinality(String),
    error_type LowCardinality(String),
    provider LowCardinality(String),
    finish_reason LowCardinality(String),
    ttft_ms Nullable(Float64),
    input_tokens Nullable(UInt64),
    output_tokens Nullable(UInt64),
    cache_read_tokens Nullable(UInt64),
    cache_status LowCardinality(String),
    language LowCardinality(String),
    tags String COMMENT 'in order, with commas',
    fallback_of LowCardinality(String),
    attempt Nullable(UInt16),
    calls UInt64,
    spans UInt64,
    labels LowCardinality(String) COMMENT 'service, environment and model of its spans: each combination on a line, with tabs',
    shown String COMMENT 'what a list shows beside the texts, once more: a JSON array' CODEC(ZSTD(1)),
    version UInt64,
    is_deleted UInt8
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
PARTITION BY toMonday(start_time)
ORDER BY (project, start_time, trace_id)
SETTINGS
    -- a page of traces takes a hundred rows from anywhere
    index_granularity = 512,
    -- FINAL costs nothing where a partition is one part
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1;

-- Which ten minutes got spans, or had some changed, and which of these changes the summaries know. Written by
-- whatever computes rollups anew.
CREATE TABLE trace_slots{on_cluster}
(
    project LowCardinality(String),
    slot DateTime('UTC'),
    touched SimpleAggregateFunction(max, UInt64) COMMENT 'ns since 1970',
    summarised SimpleAggregateFunction(max, UInt64) COMMENT 'the change (touched) that the summaries know'
)
ENGINE = {engine}AggregatingMergeTree
PARTITION BY toYYYYMM(slot)
ORDER BY (project, slot);

-- From when to when the summaries of a project are complete.
CREATE TABLE trace_coverage{on_cluster}
(
    project LowCardinality(String),
    since DateTime('UTC'),
    until DateTime('UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY project;
