"""``gnomon migrate``."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import run_gnomon, run_here

from gnomon_collector.store.engine import open_store


def test_a_fresh_directory(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    shown = run_gnomon("migrate", "--dry-run", *data)
    assert shown.returncode == 2 and not (tmp_path / "data").exists()

    done = run_gnomon("migrate", *data)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    waiting = [line.split()[1:] for line in lines if line.startswith("pending")]
    applied = [line.split()[1:3] for line in lines if line.startswith("applied")]
    assert waiting == applied
    assert run_gnomon("migrate", *data).stdout == "The database is up to date.\n"
    assert ["migration", "0001_spans.sql"] in applied and ["repeatable", "calls"] in applied


def test_beside_a_server(server_dir: Path) -> None:
    done = run_here("migrate", "--data", str(server_dir))
    assert (done.returncode, done.stdout) == (0, "The database is up to date.\n")


def test_a_changed_old_migration_is_refused(data_dir: Path) -> None:
    run_gnomon("migrate", "--data", str(data_dir))
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        store.command(
            "INSERT INTO schema_ledger SELECT * REPLACE ('0' AS sha256, version + 1 AS version)"
            " FROM schema_ledger FINAL WHERE name = '0001_spans.sql'"
        )
    for command in (["migrate"], ["keys", "create", "--project", "p"]):
        done = run_gnomon(*command, "--data", str(data_dir))
        assert done.returncode == 1
        assert "0001_spans.sql was changed after it had been applied" in done.stderr
        assert done.stderr.count("\n") == 1


def test_over_http(tmp_path: Path, http_store_url: str) -> None:
    url = http_store_url.replace("/gnomon", "/by_command_line")
    done = run_here("migrate", "--data", str(tmp_path), env={"GNOMON_STORE": url})
    again = run_here("migrate", "--data", str(tmp_path), env={"GNOMON_STORE": url})
    assert done.returncode == 0 and "applied  migration   0001_spans.sql" in done.stdout
    assert again.stdout == "The database is up to date.\n"
    with open_store(url) as store:
        store.command("DROP DATABASE by_command_line")
