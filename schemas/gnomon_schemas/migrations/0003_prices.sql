-- Prices in USD per million tokens of the models that have been seen, one row per price period. The
-- collector asks the price list once for each new (provider, model) and keeps the answer here, "no price"
-- (all null) included, so that ingest only has to join. Tiers: the last one whose start is below the input
-- tokens of the call sets the price of the whole call; the first has start 0.
CREATE TABLE model_prices{on_cluster}
(
    provider LowCardinality(String),
    model LowCardinality(String),
    valid_from DateTime('UTC'),
    tier_starts Array(UInt64) COMMENT 'input tokens',
    input_usd Array(Nullable(Float64)),
    output_usd Array(Nullable(Float64)),
    cache_read_usd Array(Nullable(Float64)),
    cache_write_usd Array(Nullable(Float64)),
    price_version LowCardinality(String) COMMENT 'where the price comes from; empty: no price known',
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (provider, model, valid_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
