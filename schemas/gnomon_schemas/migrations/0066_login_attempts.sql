-- Guessing is slowed down by all processes together: each used to count for itself, and forgot at its end.
CREATE TABLE login_attempts{on_cluster}
(
    key_sha256 String COMMENT 'of the user name or of the address that the attempt came from',
    attempt String COMMENT 'made up: no two rows are the same to a replica',
    at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'by the clock of the database, which all processes share',
    is_success Bool
)
ENGINE = {engine}MergeTree
ORDER BY (key_sha256, at)
TTL toDateTime(at) + toIntervalDay(1)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
