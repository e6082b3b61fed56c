-- Rollups of `calls` per minute and label set. A row is a pure function of the calls of its minute: it is
-- computed anew whenever a flush touched the minute, and the newest version wins. Read with FINAL.
--
-- latency_buckets[i] counts calls of duration d with i = 1 + floor(6 * log2(d in ms)), clamped to 1..128:
-- log-spaced, six to the octave: a quantile read from it with interpolation is off by 2 % typically, 12 % at
-- the most. Zeros behind the last bucket that counts are left out.
CREATE TABLE calls_per_minute{on_cluster}
(
    project LowCardinality(String),
    time DateTime('UTC') CODEC(DoubleDelta, LZ4),
    service_name LowCardinality(String),
    environment LowCardinality(String),
    kind LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String) COMMENT 'the response model, else the requested one',
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    status LowCardinality(String),
    error_type LowCardinality(String),
    cache_status LowCardinality(String),
    calls UInt64,
    duration_ms Float64 COMMENT 'sum',
    input_tokens UInt64,
    output_tokens UInt64,
    cache_read_tokens UInt64,
    cache_write_tokens UInt64,
    reasoning_tokens UInt64,
    calls_with_usage UInt64,
    cost_usd Float64,
    calls_with_cost UInt64,
    ttft_ms Float64 COMMENT 'sum',
    calls_with_ttft UInt64,
    latency_buckets Array(UInt32),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toMonday(time)
ORDER BY (project, time, service_name, environment, kind, provider, model, prompt_name, prompt_version, status, error_type, cache_status);

-- The same per hour, derived from the minutes, kept for good.
CREATE TABLE calls_per_hour{on_cluster} AS calls_per_minute
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (project, time, service_name, environment, kind, provider, model, prompt_name, prompt_version, status, error_type, cache_status);
