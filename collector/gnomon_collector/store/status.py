"""What there is to say about a database in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

from gnomon_collector.store.engine import Store

_SIZES = """
SELECT table, sumIf(rows, NOT startsWith(name, 'patch-')) AS rows, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = {database:String}
GROUP BY table
"""


@dataclass(frozen=True)
class StoreStatus:
    """The state of a database.

    Attributes:
        place: where it is, without password
        clickhouse_version: version of the engine or server
        is_embedded: whether it is the embedded engine
        spans: rows in the table of spans
        disk_bytes: compressed size of all tables
    """

    place: str
    clickhouse_version: str
    is_embedded: bool
    spans: int
    disk_bytes: int


def store_status(store: Store) -> StoreStatus:
    """Return the state of `store`.

    Raises:
        StoreError: the database does not answer
    """
    version = str(store.query("SELECT version()").rows[0][0])
    sizes = {str(row[0]): (int(str(row[1])), int(str(row[2]))) for row in _sizes(store)}
    return StoreStatus(
        place=store.place,
        clickhouse_version=version,
        is_embedded=store.is_embedded,
        spans=sizes.get("spans", (0, 0))[0],
        disk_bytes=sum(size for _, size in sizes.values()),
    )


def _sizes(store: Store) -> list[tuple[object, ...]]:
    return store.query(_SIZES, {"database": store.database}).rows
