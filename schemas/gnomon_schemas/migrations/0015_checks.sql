-- Checks by code, over all answers, per minute and label set: how many were looked at, how many failed. A row is
-- a pure function of the calls of its minute; the newest version wins. Read with FINAL.
CREATE TABLE checks_per_minute{on_cluster}
(
    project LowCardinality(String),
    time DateTime('UTC') CODEC(DoubleDelta, LZ4),
    check_name LowCardinality(String),
    service_name LowCardinality(String),
    environment LowCardinality(String),
    model LowCardinality(String),
    prompt_name LowCardinality(String),
    prompt_version LowCardinality(String),
    checked UInt64,
    failed UInt64,
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toMonday(time)
ORDER BY (project, check_name, time, service_name, environment, model, prompt_name, prompt_version);
