-- One row per billable model call: the SDKs' duplicates and the aggregates of agents and chains left out.
CREATE OR REPLACE VIEW calls{on_cluster} AS
SELECT *, if(response_model != '', response_model, request_model) AS model
FROM spans
WHERE kind IN ('generation', 'embedding') AND duplicate_of = '';
