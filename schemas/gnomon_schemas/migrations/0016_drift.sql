-- What model calls looked like, per hour and label set: the distributions that drift is measured on. A row is a
-- pure function of the spans of its hour; the newest version wins. Read with FINAL.
--
-- A number (a length, a duration) is counted in `buckets`, a category (an error type, a language) in
-- `categories`; docs/drift.md says what each feature is and where its buckets lie.
CREATE TABLE drift_features{on_cluster}
(
    project LowCardinality(String),
    time DateTime('UTC') CODEC(DoubleDelta, LZ4) COMMENT 'start of the hour',
    feature LowCardinality(String),
    service_name LowCardinality(String),
    model LowCardinality(String) COMMENT 'as requested, else as it answered; empty for what is no model call',
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    buckets Array(UInt32) COMMENT 'how many fell into bucket 1, 2, …; zeros at the end are left out',
    categories Map(String, UInt32),
    version UInt64 COMMENT 'version of the rollup of the hour it was computed after'
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (project, feature, time, service_name, model, prompt_name, prompt_version);

-- One row per evaluation of one metric of one dimension set: empty labels mean "all". Read with FINAL.
CREATE TABLE drift_results{on_cluster}
(
    project LowCardinality(String),
    time DateTime('UTC') CODEC(DoubleDelta, LZ4) COMMENT 'end of the current window',
    service_name LowCardinality(String),
    model LowCardinality(String),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    metric LowCardinality(String),
    statistic LowCardinality(String) COMMENT 'the one that decided: psi, wasserstein, jensen_shannon, cramers_v, auc, centroid, new_share; empty without enough data',
    value Float64 COMMENT 'of the statistic',
    threshold Float64 COMMENT 'from which on it is a breach',
    severity Float64 COMMENT 'value / threshold: comparable between metrics, 1 and more is a breach',
    state LowCardinality(String) COMMENT 'ok, breach (for the first time), drift (twice in a row), not_enough_data',
    reference_start DateTime('UTC'),
    reference_end DateTime('UTC'),
    current_start DateTime('UTC'),
    reference_count UInt64,
    current_count UInt64,
    explanation String CODEC(ZSTD(3)) COMMENT 'JSON: what changed, in words and figures; see docs/drift.md',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (project, time, metric, service_name, model, prompt_name, prompt_version)
TTL time + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
