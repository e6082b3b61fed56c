-- What calls are billed by beside plain tokens (audio, images, cache writes for an hour, searches), and prices that
-- hold for a service tier (batch, flex, priority). The collector asks the price list again for each model it sees.
ALTER TABLE spans{on_cluster}
    ADD COLUMN usage_details Map(LowCardinality(String), Float64) COMMENT 'counts of finer classes, as genai-prices names them' AFTER reasoning_tokens,
    ADD COLUMN service_tier LowCardinality(String) COMMENT 'that the provider served it in' AFTER usage_source;

TRUNCATE TABLE model_prices{on_cluster};

ALTER TABLE model_prices{on_cluster}
    ADD COLUMN service_tiers Array(String) COMMENT 'for whose calls a rate is; empty: all' AFTER until_s,
    ADD COLUMN extra_units Array(Array(String)) COMMENT 'keys of usage_details' AFTER request_usd,
    ADD COLUMN extra_usd Array(Array(Float64)) COMMENT 'per million of each, on top of what it costs as part of another class' AFTER extra_units;
