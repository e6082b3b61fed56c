-- What the alerts file says, without the addresses of channels, for the dashboard to show.
CREATE TABLE alert_documents{on_cluster}
(
    name LowCardinality(String) COMMENT 'config: rules, channels, mute times, budgets and objectives in force',
    document String COMMENT 'JSON',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Who used up how much of a budget; only those who ever came near its limit have a row.
CREATE TABLE budget_states{on_cluster}
(
    project LowCardinality(String),
    budget String,
    subject String COMMENT 'user, company, model, service or prompt; empty for the project as a whole',
    per LowCardinality(String) COMMENT 'what the subject is',
    state LowCardinality(String) COMMENT 'ok, near or over',
    is_blocking Bool COMMENT 'whether the answer of GET /v1/allow is no while it is over',
    spent Float64,
    limit_value Float64,
    measure LowCardinality(String) COMMENT 'cost_usd, total_tokens or requests',
    window_s Float64,
    since DateTime64(3, 'UTC'),
    retry_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when enough of it will have left the window',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, budget, subject)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- How often GET /v1/allow said no, to whom.
CREATE TABLE budget_denials{on_cluster}
(
    project LowCardinality(String),
    time DateTime('UTC') COMMENT 'minute',
    budget String,
    subject String,
    denials UInt64,
    reporter String COMMENT 'the process that counted',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (project, time, budget, subject, reporter);
