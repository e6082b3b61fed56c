"""The ledger: what is applied, what is pending, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from gnomon_collector.errors import MigrationError
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import (
    Applied,
    Kind,
    Migration,
    catalogue,
    cluster_slots,
    fill,
    ledger_ddl,
    migrate,
    parse,
    pending,
    split_statements,
)

FIRST = "-- the first;\nCREATE TABLE one{on_cluster} (a Int64) ENGINE = {engine}MergeTree ORDER BY a;\n"
SECOND = """
CREATE TABLE two (a Int64, kind {kind}) ENGINE = MergeTree ORDER BY a;
ALTER TABLE two ADD COLUMN b String DEFAULT ';';
INSERT INTO two (a) VALUES (1);
"""
VIEW = "CREATE OR REPLACE VIEW ones AS SELECT a FROM one WHERE a > {limit}"


def text(name: str, sql: str, kind: Kind = "migration") -> Migration:
    return parse(name, kind, sql, {"kind": "Enum8('x' = 1)", "limit": "0"})


TEXTS = [text("0001_one.sql", FIRST), text("0002_two.sql", SECOND), text("ones", VIEW, "repeatable")]
NAMES = ["0001_one.sql", "0002_two.sql", "ones"]


@pytest.fixture(params=["embedded", "http"])
def bare(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A database without anything in it, on both backends."""
    if request.param == "embedded":
        data_dir: Path = request.getfixturevalue("data_dir")
        with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
            yield store
        return
    url: str = request.getfixturevalue("http_store_url")
    with open_store(url.replace("/gnomon", "/bare")) as store:
        yield store
        store.command("DROP DATABASE bare")


def names(texts: list[Migration] | list[Applied]) -> list[str]:
    return [item.name for item in texts]


def tables(store: Store) -> set[object]:
    return {row[0] for row in store.query("SHOW TABLES").rows}


def test_a_statement_ends_at_a_semicolon_at_the_end_of_a_line_that_is_no_comment() -> None:
    sql = "-- no;\nSELECT ';' AS a,\n  ';' AS b -- not here; \n;\n  -- nor here;\n\nSELECT 2;\nSELECT 3"
    assert split_statements(sql) == [
        "SELECT ';' AS a,\n  ';' AS b -- not here;".rstrip(";"),
        "SELECT 2",
        "SELECT 3",
    ]


def test_other_braces_than_slots_stay() -> None:
    assert fill("{a} {b:String} {c}", {"a": "1"}) == "1 {b:String} {c}"


def test_everything_is_pending_at_first_and_nothing_is_changed_by_asking(bare: Store) -> None:
    assert names(pending(bare, TEXTS)) == NAMES
    assert tables(bare) == set()


def test_migrating_applies_all_in_order_and_again_nothing(bare: Store) -> None:
    seen: list[Applied] = []

    applied = migrate(bare, texts=TEXTS, on_applied=seen.append)

    assert names(applied) == NAMES
    assert applied == seen
    assert tables(bare) == {"one", "two", "ones", "schema_ledger"}
    assert migrate(bare, texts=TEXTS) == []
    assert pending(bare, TEXTS) == []
    assert bare.query("SELECT * FROM two").rows == [(1, "x", ";")]


def test_a_changed_view_is_applied_again_and_a_changed_comment_is_no_change(bare: Store) -> None:
    migrate(bare, texts=TEXTS)
    bare.command("INSERT INTO one VALUES (3)")
    changed = text("ones", VIEW.replace("{limit}", "10"), "repeatable")
    commented = text("0001_one.sql", "-- said better\n" + FIRST)

    assert names(migrate(bare, texts=[commented, TEXTS[1], changed])) == ["ones"]

    assert bare.query("SELECT * FROM ones").rows == []


def test_a_changed_old_migration_is_refused_and_named(bare: Store) -> None:
    migrate(bare, texts=TEXTS)
    changed = [TEXTS[0], text("0002_two.sql", SECOND.replace("two", "too")), TEXTS[2]]
    for act in (lambda: pending(bare, changed), lambda: migrate(bare, texts=changed)):
        with pytest.raises(MigrationError, match=r"0002_two\.sql was changed after it had been applied"):
            act()
    assert "too" not in tables(bare)


def test_a_database_of_a_newer_version_is_refused(bare: Store) -> None:
    migrate(bare, texts=TEXTS)
    with pytest.raises(MigrationError, match=r"0002_two\.sql.*gnomon restore"):
        migrate(bare, texts=[TEXTS[0], TEXTS[2]])


def test_a_migration_that_comes_too_late_is_refused(bare: Store) -> None:
    migrate(bare, texts=[TEXTS[0], text("0003_three.sql", "SELECT 3")])
    with pytest.raises(MigrationError, match=r"0002_two\.sql is new but numbered before 0003_three\.sql"):
        migrate(bare, texts=[*TEXTS[:2], text("0003_three.sql", "SELECT 3")])


def test_a_refused_statement_is_named_and_the_next_run_goes_on_there(bare: Store) -> None:
    broken = text(
        "0001_b.sql", "CREATE TABLE a (x Int8) ENGINE = Memory;\nINSERT INTO b SELECT 1;\nSELECT 1;"
    )
    with pytest.raises(MigrationError, match=r"0001_b\.sql, statement 2 of 3, was refused: .*b") as caught:
        migrate(bare, texts=[broken])
    assert caught.value.code == 60
    assert names(pending(bare, [broken])) == ["0001_b.sql"]

    bare.command("CREATE TABLE b (x Int8) ENGINE = Memory")
    assert names(migrate(bare, texts=[broken])) == ["0001_b.sql"]
    assert bare.query("SELECT * FROM b").rows == [(1,)]


def test_a_run_cut_off_between_a_table_and_its_entry_goes_on(bare: Store) -> None:
    migrate(bare, texts=TEXTS)
    # As if the process had died after CREATE TABLE two and before the ledger heard of it.
    bare.command(
        "INSERT INTO schema_ledger SELECT * REPLACE (0 AS statements_done, version + 1 AS version)"
        " FROM schema_ledger FINAL WHERE name = '0002_two.sql'"
    )
    bare.command("ALTER TABLE two DROP COLUMN b")
    bare.command("TRUNCATE TABLE two")

    assert names(migrate(bare, texts=TEXTS)) == ["0002_two.sql"]

    assert bare.query("SELECT * FROM two").rows == [(1, "x", ";")]


def test_a_table_of_somebody_else_is_not_taken_for_ours(bare: Store) -> None:
    bare.command("CREATE TABLE one (unrelated String) ENGINE = Memory")
    with pytest.raises(MigrationError, match=r"0001_one\.sql, statement 1") as caught:
        migrate(bare, texts=TEXTS)
    assert caught.value.code == 57


def test_the_real_schema_is_applied_once(bare: Store) -> None:
    applied = migrate(bare)
    assert names(applied) == names(catalogue())
    assert migrate(bare) == []
    assert {"spans", "calls", "scores", "calls_per_minute", "calls_per_hour", "api_keys", "users"} <= tables(
        bare
    )


def test_names_of_the_real_schema_are_unique_and_numbered_once() -> None:
    texts = catalogue()
    assert len(set(names(texts))) == len(texts)
    numbers = [int(item.name[:4]) for item in texts if item.kind == "migration"]
    assert numbers == sorted(set(numbers))


def test_every_table_is_on_stable_storage_before_anything_builds_on_it(store: Store) -> None:
    tables = store.query(
        "SELECT name, engine_full LIKE '%fsync_after_insert = 1%' AND engine_full LIKE '%fsync_part_directory = 1%'"
        " FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
    ).rows
    assert len(tables) > 30
    assert [name for name, is_fsynced in tables if not is_fsynced] == []


def test_every_statement_of_the_real_schema_parses_as_cluster_ddl(store: Store) -> None:
    slots = cluster_slots("main")
    for item in catalogue():
        for statement in item.statements:
            filled = fill(statement, slots)
            plain = str(store.query("SELECT formatQuerySingleLine({q:String})", {"q": filled}).rows[0][0])
            if plain.startswith(("CREATE", "DROP")):
                assert "ON CLUSTER main" in plain, (
                    f"{item.name} makes something on one server only: {plain[:200]}"
                )
            if "MergeTree" in plain:
                assert "Replicated" in plain, f"{item.name} makes a table without replicas"


def test_the_ledger_on_a_single_server_and_on_a_cluster(snapshot: SnapshotAssertion) -> None:
    assert ledger_ddl(None) == snapshot(name="single")
    assert ledger_ddl("main") == snapshot(name="cluster")


@pytest.mark.parametrize("name", ["a`b", "a; DROP", "a b", "{x}"])
def test_a_cluster_name_is_a_name(name: str) -> None:
    with pytest.raises(MigrationError, match="name of a cluster"):
        cluster_slots(name)
