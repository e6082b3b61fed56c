-- Prices that hold at some hours only, per request, and of reasoning tokens. What is there has none of them:
-- the collector asks the price list again for each model it sees.
TRUNCATE TABLE model_prices{on_cluster};

ALTER TABLE model_prices{on_cluster}
    ADD COLUMN from_s Array(UInt32) COMMENT 'second of the day (UTC) from which a rate holds' AFTER tier_starts,
    ADD COLUMN until_s Array(UInt32) COMMENT 'until when; 86400 is the end of the day' AFTER from_s,
    ADD COLUMN reasoning_usd Array(Nullable(Float64)) COMMENT 'of the reasoning tokens in the output' AFTER cache_write_usd,
    ADD COLUMN request_usd Array(Nullable(Float64)) COMMENT 'per million calls' AFTER reasoning_usd;
