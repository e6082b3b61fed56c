-- What the LLM judge is to do, and did. A task is one judgement to be made: of a span, a trace or a session, by
-- one version of an evaluator. Its id is a hash of these, so planning twice makes no second task; a row of
-- version 0 never replaces a later state. Read with FINAL.
CREATE TABLE judge_tasks{on_cluster}
(
    task_id String COMMENT 'also the score_id of the verdict: one at the most',
    project LowCardinality(String),
    evaluator LowCardinality(String),
    evaluator_version LowCardinality(String),
    unit LowCardinality(String) COMMENT 'span, trace or session',
    trace_id String,
    span_id String,
    session_id String,
    happened_at DateTime64(6, 'UTC') COMMENT 'start of what is judged; microseconds, for it is in the key and goes through Python',
    service_name LowCardinality(String),
    environment LowCardinality(String),
    model LowCardinality(String),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    language LowCardinality(String),
    company_id LowCardinality(String),
    user_id String,
    policy LowCardinality(String) COMMENT 'the sampling policy that picked it',
    origin LowCardinality(String) COMMENT 'online or backfill',
    inclusion_probability Float64,
    state LowCardinality(String) COMMENT 'waiting, judged, failed or skipped',
    reason String COMMENT 'why it failed, or was skipped',
    tries UInt16 COMMENT 'attempts that count against the limit',
    not_before DateTime64(3, 'UTC') COMMENT 'next attempt no earlier than this',
    value Nullable(Float64) COMMENT 'of the verdict',
    label LowCardinality(String) COMMENT 'of the verdict',
    cost_usd Nullable(Float64),
    planned_at DateTime64(3, 'UTC'),
    changed_at DateTime64(3, 'UTC'),
    version UInt64,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, evaluator, happened_at, task_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per call of the judge, written before the call is made, with what it may cost at the most: the budget
-- is held against these rows, and who may work on a task is decided by them. Read with FINAL.
CREATE TABLE judge_attempts{on_cluster}
(
    project LowCardinality(String),
    day Date COMMENT 'UTC, on whose budget it goes',
    task_id String,
    attempt UInt16,
    worker String,
    evaluator LowCardinality(String),
    claimed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'by the clock of the database',
    lease_until DateTime64(3, 'UTC') COMMENT 'after this another worker may try',
    reserved_usd Float64 COMMENT 'most that it may cost',
    outcome LowCardinality(String) COMMENT 'empty while it runs; judged, failed, unavailable, abandoned or withdrawn',
    reason String,
    cost_usd Nullable(Float64) COMMENT 'what it did cost; null when that is not known',
    input_tokens UInt64,
    output_tokens UInt64,
    duration_ms Float64,
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, day, task_id, attempt, worker)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Up to when each policy has planned the spans that came in.
CREATE TABLE judge_marks{on_cluster}
(
    project LowCardinality(String),
    policy LowCardinality(String),
    planned_until DateTime64(9, 'UTC') COMMENT 'of spans.received_at',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, policy)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The evaluators that a judge here worked with, so that the dashboard can show their scales.
CREATE TABLE judge_evaluators{on_cluster}
(
    name LowCardinality(String),
    evaluator_version LowCardinality(String),
    title String,
    description String,
    unit LowCardinality(String),
    labels Array(Tuple(label String, value Nullable(Float64), meaning String)),
    judge_model LowCardinality(String),
    registered_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (name, evaluator_version);

-- Switches that people turn while the judge runs: paused = 1.
CREATE TABLE judge_switches{on_cluster}
(
    name LowCardinality(String),
    value String,
    changed_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- New spans are found by when they came in: without this, each look would read the column of all partitions.
ALTER TABLE spans{on_cluster} ADD INDEX by_received received_at TYPE minmax GRANULARITY 1;
