SELECT * EXCEPT (is_free, is_priced) FROM otlp_columns
WHERE (project, start_time, trace_id, span_id) NOT IN (
    SELECT project, start_time, trace_id, span_id FROM spans
    WHERE start_time IN (SELECT start_time FROM otlp_columns))
    AND (project, trace_id) NOT IN (
    SELECT project, trace_id FROM erased_traces
    WHERE (project, trace_id) IN (SELECT project, trace_id FROM otlp_columns))
    -- one of senseless time has that of its receipt, another each time it is sent: known by its trace
    AND NOT (has(data_flags, 'start_time_clamped') AND (project, trace_id, span_id) IN (
    SELECT project, trace_id, span_id FROM spans
    WHERE (project, trace_id) IN (
        SELECT project, trace_id FROM otlp_columns WHERE has(data_flags, 'start_time_clamped'))
        AND has(data_flags, 'start_time_clamped')))
LIMIT 1 BY project, if(has(data_flags, 'start_time_clamped'), fromUnixTimestamp64Nano(0, 'UTC'), start_time),
    trace_id, span_id
