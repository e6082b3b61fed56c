-- What users, sessions and companies did on a day, summed from trace_summaries: lists over a month grow with days and
-- people, not with traces. A day is computed when it is over, and anew when summaries of it changed; its rows carry the
-- run that computed them, and `people_days` says which run holds.
CREATE TABLE users_per_day{on_cluster}
(
    project LowCardinality(String),
    user_id String,
    day Date COMMENT 'UTC, on which the trace began',
    run UInt64 COMMENT 'which computation it is from: ns since 1970',
    start_time DateTime64(9, 'UTC') COMMENT 'of the first span of the first trace',
    last_start_time DateTime64(9, 'UTC') COMMENT 'of the last span',
    traces UInt64,
    calls UInt64,
    failed_calls UInt64,
    input_tokens UInt64,
    output_tokens UInt64,
    cost_usd Float64,
    sessions AggregateFunction(uniqCombined, String) COMMENT 'ids of sessions, the empty one as well'
)
ENGINE = {engine}MergeTree
PARTITION BY toYYYYMM(day)
-- a page of a hundred people takes a few rows of each of them: by person, months whole, granules small
ORDER BY (project, user_id, day)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE sessions_per_day{on_cluster}
(
    project LowCardinality(String),
    session_id String,
    day Date,
    run UInt64,
    user_id String COMMENT 'of its first trace of the day',
    start_time DateTime64(9, 'UTC'),
    last_start_time DateTime64(9, 'UTC'),
    traces UInt64,
    calls UInt64,
    failed_calls UInt64,
    input_tokens UInt64,
    output_tokens UInt64,
    cost_usd Float64
)
ENGINE = {engine}MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (project, session_id, day)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE companies_per_day{on_cluster}
(
    project LowCardinality(String),
    company LowCardinality(String),
    day Date,
    run UInt64,
    start_time DateTime64(9, 'UTC'),
    last_start_time DateTime64(9, 'UTC'),
    traces UInt64,
    calls UInt64,
    failed_calls UInt64,
    input_tokens UInt64,
    output_tokens UInt64,
    cost_usd Float64,
    sessions AggregateFunction(uniqCombined, String)
)
ENGINE = {engine}MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (project, company, day)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;

-- A day holds where its run is newer than the last change of its summaries.
CREATE TABLE people_days{on_cluster}
(
    project LowCardinality(String),
    day Date,
    touched SimpleAggregateFunction(max, UInt64) COMMENT 'ns since 1970',
    run SimpleAggregateFunction(max, UInt64) COMMENT 'when the computation began whose rows are complete: ns since 1970'
)
ENGINE = {engine}AggregatingMergeTree
ORDER BY (project, day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
