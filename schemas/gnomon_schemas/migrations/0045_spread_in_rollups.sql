-- How figures are spread over calls, so that versions of a prompt are compared and the time to the first token
-- is shown without reading every call: sums of squares, and a histogram cut as latency_buckets is. Rows from
-- before have zeros and no bucket until they are computed anew; queries see that and read the calls.
ALTER TABLE calls_per_minute{on_cluster}
    ADD COLUMN duration_ms_squares Float64 COMMENT 'sum' AFTER latency_buckets,
    ADD COLUMN cost_usd_squares Float64 COMMENT 'sum' AFTER duration_ms_squares,
    ADD COLUMN output_tokens_squares Float64 COMMENT 'sum' AFTER cost_usd_squares,
    ADD COLUMN calls_with_output UInt64 COMMENT 'that reported output tokens' AFTER output_tokens_squares,
    ADD COLUMN ttft_buckets Array(UInt32) COMMENT 'like latency_buckets, of the time to the first token' AFTER calls_with_output;

ALTER TABLE calls_per_hour{on_cluster}
    ADD COLUMN duration_ms_squares Float64 COMMENT 'sum' AFTER latency_buckets,
    ADD COLUMN cost_usd_squares Float64 COMMENT 'sum' AFTER duration_ms_squares,
    ADD COLUMN output_tokens_squares Float64 COMMENT 'sum' AFTER cost_usd_squares,
    ADD COLUMN calls_with_output UInt64 COMMENT 'that reported output tokens' AFTER output_tokens_squares,
    ADD COLUMN ttft_buckets Array(UInt32) COMMENT 'like latency_buckets, of the time to the first token' AFTER calls_with_output;
