-- From which value of a judge an answer counts as good, calibrated on labels of people; with how well judge and
-- people agreed then. The newest row of an evaluator is in force.
CREATE TABLE judge_thresholds{on_cluster}
(
    project LowCardinality(String),
    evaluator LowCardinality(String),
    evaluator_version LowCardinality(String),
    threshold Float64 COMMENT 'a value from here on counts as good',
    kappa Nullable(Float64) COMMENT 'Cohen''s kappa at that threshold',
    kappa_low Nullable(Float64) COMMENT '95 % interval, bootstrap',
    kappa_high Nullable(Float64),
    pairs UInt32 COMMENT 'answers that both a person and the judge labelled',
    calibrated_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (project, evaluator, evaluator_version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
