"""The systemd unit and the configuration of a ClickHouse cluster."""

from __future__ import annotations

import shlex
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.deploy.test_container import OUR_VARIABLES, check_command

from gnomon_collector.store.engine import Store
from gnomon_collector.store.migrations import catalogue, cluster_slots, fill, ledger_ddl, split_statements

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CLUSTER = ElementTree.parse(DEPLOY / "clickhouse" / "cluster.xml").getroot()


def unit() -> dict[str, list[str]]:
    """Return the values of each key; a key may stand there several times."""
    values: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / "systemd" / "gnomon.service").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            values[key].append(value)
    return values


def test_the_unit_starts_a_command_that_exists() -> None:
    (start,) = unit()["ExecStart"]
    check_command(shlex.split(start))


def test_the_unit_sets_variables_that_exist() -> None:
    pairs = dict(value.split("=", 1) for value in unit()["Environment"])
    assert set(pairs) <= OUR_VARIABLES
    assert pairs["GNOMON_DATA"] == f"/var/lib/{unit()['StateDirectory'][0]}"


def test_the_unit_does_not_run_as_root_and_leaves_time_to_stop() -> None:
    assert unit()["User"] == ["gnomon"]
    assert int(unit()["TimeoutStopSec"][0]) >= 30


def test_the_cluster_has_one_shard_and_a_path_for_replicas() -> None:
    (cluster,) = CLUSTER.findall("remote_servers/*")
    assert len(cluster.findall("shard")) == 1
    assert len(cluster.findall("shard/replica")) == 2
    assert CLUSTER.findtext("macros/cluster") == cluster.tag
    assert "{uuid}" in (CLUSTER.findtext("default_replica_path") or "")
    hosts = {replica.findtext("host") for replica in cluster.findall("shard/replica")}
    assert CLUSTER.findtext("macros/replica") in hosts


def cluster_statements() -> list[str]:
    name = CLUSTER.findall("remote_servers/*")[0].tag
    slots = cluster_slots(name)
    return [
        ledger_ddl(name),
        *(fill(statement, slots) for text in catalogue() for statement in text.statements),
    ]


def test_the_engine_parses_the_tables_for_this_cluster(store: Store) -> None:
    statements = cluster_statements()
    assert len(statements) > 10
    for statement in statements:
        assert "ON CLUSTER `gnomon`" in statement
        store.query(f"EXPLAIN AST {statement}")
    created = [statement for statement in statements if "MergeTree" in statement]
    assert all("ENGINE = Replicated" in statement for statement in created)


@pytest.mark.parametrize("page", ["clickhouse/user.sql"])
def test_the_engine_parses_the_user(store: Store, page: str) -> None:
    statements = split_statements((DEPLOY / page).read_text(encoding="utf-8"))
    assert len(statements) == 4
    for statement in statements:
        store.query(f"EXPLAIN AST {statement}")
