-- What people did to the data and to who may reach it. Rows are only ever added.
CREATE TABLE audit_log{on_cluster}
(
    time DateTime64(3, 'UTC'),
    actor String COMMENT 'user name, key id, or "command line"',
    action LowCardinality(String) COMMENT 'as in keys.create, erase, quarantine.drop',
    project LowCardinality(String) COMMENT 'empty when it is about the whole server',
    target String COMMENT 'what it was done to: an id; of an erased person only a SHA-256',
    details String COMMENT 'JSON object: counts and settings, never content'
)
ENGINE = {engine}MergeTree
ORDER BY (time, action)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Traces that were erased: the ingest leaves out what comes of them later, so that a replay brings nothing back.
CREATE TABLE erased_traces{on_cluster}
(
    project LowCardinality(String),
    trace_id String,
    erasure_id String,
    erased_at DateTime64(3, 'UTC')
)
ENGINE = {engine}ReplacingMergeTree(erased_at)
ORDER BY (project, trace_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- How long a project's data is kept, and how much it may send. null is "no limit".
CREATE TABLE project_settings{on_cluster}
(
    project LowCardinality(String),
    span_days Nullable(UInt16) COMMENT 'spans, scores and logs older than this are deleted, and refused',
    content_days Nullable(UInt16) COMMENT 'texts older than this are deleted; times, tokens and cost stay',
    max_spans_per_minute Nullable(UInt32),
    max_bytes_per_minute Nullable(UInt64),
    mask_content Bool COMMENT 'personal data is masked before anything is written',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY project
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

ALTER TABLE api_keys{on_cluster} ADD COLUMN expires_at Nullable(DateTime64(3, 'UTC')) AFTER created_at;
