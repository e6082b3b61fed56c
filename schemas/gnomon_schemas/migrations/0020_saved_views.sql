-- Addresses of the dashboard that somebody gave a name, shared by all who see the project.
CREATE TABLE saved_views{on_cluster}
(
    project LowCardinality(String),
    view_id String,
    name String,
    path String COMMENT 'path of the page, such as /traces',
    query String COMMENT 'query string of the page, ? included',
    author String COMMENT 'user name; empty where nobody logs in',
    created_at DateTime64(3, 'UTC'),
    deleted_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, view_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
