-- Rules that were made in the dashboard or through the API. Those of files are not kept here.
CREATE TABLE alert_rules{on_cluster}
(
    project LowCardinality(String) COMMENT 'where it was made; its rule applies to this project',
    name String,
    definition String COMMENT 'TOML, as in a rule file',
    is_enabled Bool,
    is_deleted Bool,
    author String,
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Where each label set of each rule stands; those that are normal and always were have no row.
CREATE TABLE alert_instances{on_cluster}
(
    project LowCardinality(String),
    rule String,
    fingerprint String COMMENT 'of the label set',
    labels Map(LowCardinality(String), String),
    state LowCardinality(String) COMMENT 'normal, pending, firing or recovering',
    held_s Float64 COMMENT 'seconds in this state, as far as it was watched',
    evaluated_at DateTime64(3, 'UTC'),
    incident_id String COMMENT 'of the firing that lasts, else of the last one',
    fired_at Nullable(DateTime64(3, 'UTC')),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    severity LowCardinality(String),
    value Nullable(Float64),
    normal Nullable(Float64),
    threshold Nullable(Float64),
    peak Nullable(Float64) COMMENT 'furthest value of the firing',
    samples Float64 COMMENT 'calls behind value',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, rule, fingerprint)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per firing, with the evidence frozen when it began.
CREATE TABLE alert_incidents{on_cluster}
(
    incident_id String,
    project LowCardinality(String),
    rule String,
    metric LowCardinality(String),
    fingerprint String,
    labels Map(LowCardinality(String), String) COMMENT 'the label set and the labels of the rule',
    severity LowCardinality(String),
    fired_at DateTime64(3, 'UTC'),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    value Nullable(Float64),
    normal Nullable(Float64),
    threshold Nullable(Float64),
    peak Nullable(Float64),
    summary String,
    runbook String,
    evidence String COMMENT 'JSON: the series around the firing, examples, what changed, what explains it',
    acknowledged_by String,
    acknowledged_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, incident_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE alert_silences{on_cluster}
(
    silence_id String,
    project LowCardinality(String),
    matchers Array(String) COMMENT 'label=value, label!=value, label=~regex, label!~regex; all must hold',
    starts_at DateTime64(3, 'UTC'),
    ends_at DateTime64(3, 'UTC'),
    author String,
    comment String,
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, silence_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Every message that was, or is to be, sent. The id is made of what the message says, so that planning the
-- same message again after a crash finds it here.
CREATE TABLE alert_deliveries{on_cluster}
(
    delivery_id String,
    project LowCardinality(String),
    channel LowCardinality(String) COMMENT 'name of the channel; its address may hold secrets and is not kept',
    group_key String,
    kind LowCardinality(String) COMMENT 'firing, resolved, repeat or test',
    incidents Array(String) COMMENT 'incident_id of each firing that the message tells of',
    status LowCardinality(String) COMMENT 'sending, sent, failed (will be tried again) or given_up',
    attempts UInt16,
    error String,
    created_at DateTime64(3, 'UTC'),
    next_try_at DateTime64(3, 'UTC'),
    sent_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, delivery_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Who does a job that only one process may do. Of those whose claim has not ended, the earliest holds it.
CREATE TABLE leases{on_cluster}
(
    name LowCardinality(String),
    holder String COMMENT 'host, process and a random number',
    since DateTime64(6, 'UTC'),
    ends_at DateTime64(6, 'UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (name, holder)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
