-- Roles by project, logins of an identity provider, and sessions that can be ended from anywhere.
ALTER TABLE users{on_cluster} ADD COLUMN project_roles Map(String, String) COMMENT 'role by project; goes before role' AFTER role;

ALTER TABLE users{on_cluster} ADD COLUMN subject String COMMENT 'issuer and sub of an OIDC login; empty with a password' AFTER project_roles;

CREATE TABLE sessions{on_cluster}
(
    session_sha256 String COMMENT 'of the random text in the cookie',
    username String,
    user_version UInt64 COMMENT 'version of the row in users at the login: a newer one ends the session',
    created_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    ended_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY session_sha256
TTL toDateTime(expires_at) + toIntervalDay(1)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
