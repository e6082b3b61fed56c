-- API keys: only the SHA-256 of a key is kept. A key is of one project and has one scope.
CREATE TABLE api_keys{on_cluster}
(
    key_id String COMMENT 'public part, the first characters of the key',
    key_sha256 String COMMENT 'hex',
    project LowCardinality(String),
    scope LowCardinality(String) COMMENT 'ingest, feedback, read or admin',
    name String,
    created_at DateTime64(3, 'UTC'),
    revoked_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY key_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- People who log in to the dashboard.
CREATE TABLE users{on_cluster}
(
    username String,
    password_hash String COMMENT 'argon2id, in PHC string format',
    role LowCardinality(String) COMMENT 'viewer, editor or admin',
    created_at DateTime64(3, 'UTC'),
    deleted_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY username
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
