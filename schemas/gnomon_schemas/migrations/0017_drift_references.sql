-- The window that a project's traffic is compared with, where somebody pinned one. The newest row of a project
-- counts; an empty window (start = end) means "trailing" again.
CREATE TABLE drift_references{on_cluster}
(
    project LowCardinality(String),
    start_time DateTime('UTC'),
    end_time DateTime('UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY project
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
