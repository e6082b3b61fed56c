-- Log records as received. They enrich spans (`span_contents`) and become scores; nothing else reads them.
-- A record is known by `record_id`, a hash of what it says, so one that is sent again is kept once.
CREATE TABLE log_records{on_cluster}
(
    project LowCardinality(String),
    time DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4) COMMENT 'of the event, else when it was observed, else received',
    record_id String COMMENT 'hex, hash of what the record says',
    position UInt32 COMMENT 'place in its request: tells the order of records of one instant',
    trace_id String,
    span_id String,
    event_name LowCardinality(String),
    severity_number UInt8,
    severity_text LowCardinality(String),
    service_name LowCardinality(String),
    environment LowCardinality(String),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    body String CODEC(ZSTD(1)) COMMENT 'strings as they are, other types as JSON',
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'strings as they are, other types as JSON, bytes as base64',
    resource Map(LowCardinality(String), String),
    received_at DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = {engine}ReplacingMergeTree(received_at)
PARTITION BY toDate(received_at)
ORDER BY (project, time, record_id)
TTL toDateTime(received_at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- What log records say of a span, folded into one row: kept so that logs may come before their span. A pure
-- function of the span's log records; the row made of most records wins.
CREATE TABLE span_contents{on_cluster}
(
    project LowCardinality(String),
    trace_id String,
    span_id String,
    input_text String CODEC(ZSTD(1)),
    output_text String CODEC(ZSTD(1)),
    finish_reason LowCardinality(String),
    input_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'by the names they have on spans: gen_ai.input.messages and such',
    output_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    data_flags Array(LowCardinality(String)),
    records UInt64 COMMENT 'log records it was made of',
    received_at DateTime64(9, 'UTC')
)
ENGINE = {engine}ReplacingMergeTree(records)
ORDER BY (project, trace_id, span_id)
TTL toDateTime(received_at) + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Data points of OTLP metrics, one row each, for two weeks. Never added up with spans: they report the same
-- calls again.
CREATE TABLE metric_points{on_cluster}
(
    project LowCardinality(String),
    name LowCardinality(String),
    time DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4),
    point_id String COMMENT 'hex, hash of what the point says',
    start_time DateTime64(9, 'UTC') COMMENT 'of the interval that a sum or histogram covers; 1970 when not said',
    kind LowCardinality(String) COMMENT 'gauge, sum, histogram or summary; exponential histograms come as histograms',
    temporality LowCardinality(String) COMMENT 'delta, cumulative or empty',
    is_monotonic Bool,
    unit LowCardinality(String),
    service_name LowCardinality(String),
    environment LowCardinality(String),
    scope_name LowCardinality(String),
    value Nullable(Float64) COMMENT 'of a gauge or sum',
    count UInt64 COMMENT 'of a histogram or summary, as the next ones',
    sum Nullable(Float64),
    min Nullable(Float64),
    max Nullable(Float64),
    bounds Array(Float64) COMMENT 'upper bounds of the buckets but the last, which has none; of a summary its quantiles',
    bucket_counts Array(UInt64),
    quantile_values Array(Float64) COMMENT 'of a summary',
    attributes Map(LowCardinality(String), String),
    resource Map(LowCardinality(String), String),
    received_at DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4)
)
ENGINE = {engine}ReplacingMergeTree(received_at)
PARTITION BY toDate(received_at)
ORDER BY (project, name, time, point_id)
TTL toDateTime(received_at) + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;
