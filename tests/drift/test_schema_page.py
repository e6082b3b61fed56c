"""The tables of drift are on the schema page as they are, and the queries of the guide run."""

from __future__ import annotations

import pytest
from tests.docs import markdown

from gnomon_collector.store.engine import Store

SCHEMA_PAGE, GUIDE = markdown.DOCS / "schema.md", markdown.DOCS / "drift.md"


@pytest.mark.parametrize("table", ["drift_features", "drift_results", "drift_references"])
def test_every_column_is_on_the_page_with_its_type(store: Store, table: str) -> None:
    sql = "SELECT name, type FROM system.columns WHERE database = {db:String} AND table = {table:String} ORDER BY position"
    rows = markdown.table(SCHEMA_PAGE, table)
    assert [(row["Column"], row["Type"]) for row in rows] == store.query(
        sql, {"db": store.database, "table": table}
    ).rows


def test_the_query_of_the_guide_runs(store: Store) -> None:
    (query,) = markdown.blocks(GUIDE, "sql")
    assert store.query(query.text).columns == ("time", "metric", "service_name", "model", "severity", "what")
