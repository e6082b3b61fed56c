-- Named sets of examples, kept by people for evaluation and fine-tuning. Read with FINAL.
CREATE TABLE datasets{on_cluster}
(
    project LowCardinality(String),
    dataset_id String,
    name String COMMENT 'unique in its project among those that are not deleted',
    description String,
    made_by String COMMENT 'user name; empty where nobody logs in',
    created_at DateTime64(3, 'UTC'),
    deleted_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, dataset_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- The examples of datasets. Input and output are those of the call: they are read from `spans`, never copied, so
-- that what is erased, masked or expires there is gone here as well. Read with FINAL.
CREATE TABLE dataset_examples{on_cluster}
(
    project LowCardinality(String),
    dataset_id String,
    example_id String COMMENT 'hash of trace_id and span_id: adding twice makes no second one',
    trace_id String,
    span_id String COMMENT 'the call; empty: the call of the trace that answered',
    user_id String COMMENT 'whose request it was; with it an erasure reaches the row',
    session_id String,
    happened_at DateTime64(6, 'UTC') COMMENT 'start of the trace: retention goes by it; microseconds, for it goes through Python',
    expected_output String COMMENT 'what the answer should have been, written for this dataset; empty: a correction of the trace, or the output',
    added_by String,
    added_at DateTime64(3, 'UTC'),
    removed_at Nullable(DateTime64(3, 'UTC')),
    version UInt64,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, dataset_id, example_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
