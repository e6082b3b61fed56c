-- What lists of users, sessions and companies say about the calls of a trace. Emptying trace_coverage has the
-- job go back through what is stored, newest first; until it is through, the spans answer, more slowly.
ALTER TABLE trace_summaries{on_cluster}
    ADD COLUMN failed_calls UInt64 AFTER calls,
    ADD COLUMN cancelled_calls UInt64 AFTER failed_calls,
    ADD COLUMN calls_with_cost UInt64 AFTER cancelled_calls,
    ADD COLUMN calls_ms Float64 COMMENT 'duration of its calls, together' AFTER calls_with_cost;

TRUNCATE TABLE trace_coverage{on_cluster};
