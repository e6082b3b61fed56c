SELECT * EXCEPT (is_free, is_priced) FROM otlp_columns
WHERE (project, start_time, trace_id, span_id) NOT IN (
    SELECT project, start_time, trace_id, span_id FROM spans
    WHERE start_time IN (SELECT start_time FROM otlp_columns))
    AND (project, trace_id) NOT IN (
    SELECT project, trace_id FROM erased_traces
    WHERE (project, trace_id) IN (SELECT project, trace_id FROM otlp_columns))
LIMIT 1 BY project, start_time, trace_id, span_id
