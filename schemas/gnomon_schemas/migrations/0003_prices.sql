-- Prices in USD per million tokens, as a ClickHouse regexp_tree source: the first entry (by id) whose
-- regexp matches 'provider|model' gives the price. Filled by the collector from the genai-prices snapshot.
CREATE TABLE model_prices{on_cluster}
(
    id UInt64,
    parent_id UInt64,
    regexp String,
    keys Array(String),
    values Array(String)
)
ENGINE = {engine}MergeTree
ORDER BY id;
