"""What only the embedded engine has: a directory, a lock, files on the way in, and no rights of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gnomon_collector.errors import BadRequest, ConfigError, DataDirHeld, StoreError
from gnomon_collector.store.embedded import ENGINE_OPTIONS, check_plain_sql
from gnomon_collector.store.engine import Store, open_store


def url_of(data_dir: Path) -> str:
    return f"chdb://{data_dir / 'chdb'}"


def run_python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_inserted_is_there_after_closing(data_dir: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        store.command("CREATE TABLE kept (a Int64) ENGINE = MergeTree ORDER BY a")
        store.insert_rows("kept", ["a"], [(1,)])
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        assert store.query("SELECT a FROM kept").rows == [(1,)]


def test_the_engine_starts_with_our_options(data_dir: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        rows = store.query(
            "SELECT value, changed FROM system.server_settings WHERE name = 'memory_worker_period_ms'"
        ).rows
    assert rows == [(str(ENGINE_OPTIONS["memory_worker_period_ms"]), True)]


def test_what_only_arrow_and_data_frames_need_is_not_loaded(data_dir: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from gnomon_collector.store.engine import open_store
        with open_store(sys.argv[1], data_dir=Path(sys.argv[2])) as store:
            store.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
            store.insert_rows("t", ["a"], [(1,)])
            assert store.query("SELECT a FROM t").rows == [(1,)]
        loaded = {name.partition(".")[0] for name in sys.modules} & {"pandas", "pyarrow"}
        import pyarrow
        print(loaded, pyarrow.array([1]).to_pylist())
    """
    run = run_python(code, url_of(data_dir), str(data_dir))
    assert run.stdout.strip() == "set() [1]", run.stderr


def test_the_engine_wakes_seldom_while_nothing_happens(data_dir: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        for number in range(20):
            store.command(f"CREATE TABLE idle_{number} (a Int64) ENGINE = MergeTree ORDER BY a")
        time.sleep(2)
        before = naps()
        time.sleep(2)
        # Without options, 20 tables wake some 200 times in two seconds.
        assert naps() - before < 60


def naps() -> int:
    """How often the engine's own threads were woken so far."""
    threads = list(Path("/proc/self/task").iterdir())
    return sum(
        int((thread / "schedstat").read_text().split()[2])
        for thread in threads
        if (thread / "comm").read_text().strip() in {"PoolDelayExec", "BgSchPool", "BgStrmSchPool"}
    )


def test_a_second_process_is_told_who_is_there(data_dir: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from gnomon_collector.errors import DataDirHeld
        from gnomon_collector.store.engine import open_store
        try:
            open_store(sys.argv[1], data_dir=Path(sys.argv[2]))
        except DataDirHeld as error:
            print(error.pid, "|", error.command, "|", error)
    """
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        second = run_python(code, url_of(data_dir), str(data_dir))
        store.ping()

    pid, command, message = second.stdout.strip().split(" | ")
    assert int(pid) == os.getpid()
    assert command and f"process {pid} ({command})" in message
    assert "--data" in message


def test_a_killed_process_leaves_the_directory_free(data_dir: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from gnomon_collector.store.engine import open_store
        store = open_store(sys.argv[1], data_dir=Path(sys.argv[2]))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_python(code, url_of(data_dir), str(data_dir)).returncode == -9
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        store.ping()


def test_the_same_process_may_open_it_twice(data_dir: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir) as first:
        second = open_store(f"{url_of(data_dir)}?database=other", data_dir=data_dir)
        assert second.query("SELECT currentDatabase()").rows == [("other",)]
        second.close()
        assert first.query("SELECT currentDatabase()").rows == [("gnomon",)]


def test_closing_frees_the_directory_and_ends_the_handle(data_dir: Path) -> None:
    store = open_store(url_of(data_dir), data_dir=data_dir)
    reader = store.readonly()
    store.close()
    store.close()
    for closed in (store, reader):
        with pytest.raises(StoreError, match="closed"):
            closed.query("SELECT 1")
    code = "import sys; from pathlib import Path; from gnomon_collector.store.engine import open_store;"
    code += "open_store(sys.argv[1], data_dir=Path(sys.argv[2])).close(); print('opened')"
    assert run_python(code, url_of(data_dir), str(data_dir)).stdout == "opened\n"


def test_a_forked_child_is_refused_instead_of_hanging(data_dir: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from gnomon_collector.errors import StoreError
        from gnomon_collector.store.engine import open_store
        store = open_store(sys.argv[1], data_dir=Path(sys.argv[2]))
        if os.fork() == 0:
            try:
                store.query("SELECT 1")
            except StoreError as error:
                print(error, flush=True)
            store.close()
            os._exit(0)
        os.wait()
        print(store.query("SELECT 1").rows)
        store.close()
    """
    done = run_python(code, url_of(data_dir), str(data_dir))
    refusal, answer = done.stdout.splitlines()
    assert "forked child" in refusal
    assert answer == "[(1,)]"


def test_inserts_leave_no_files_and_stay_out_of_tmp(data_dir: Path, tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from gnomon_collector.errors import StoreError
        from gnomon_collector.store.engine import open_store
        home = Path(sys.argv[2])
        seen = set()
        def hook(event, arguments):
            if event == "open" and str(arguments[0]).endswith(".insert"):
                seen.add(arguments[0])
            assert event != "tempfile.mkstemp", arguments
        with open_store(sys.argv[1], data_dir=home) as store:
            store.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
            sys.addaudithook(hook)
            store.insert_rows("t", ["a"], [(1,)])
            store.insert_raw("t", b"2", "CSV")
            try:
                store.insert_raw("t", b"x", "CSV")
            except StoreError:
                pass
            print(len(seen), all(path.startswith(str(home)) for path in seen))
            print(list((home / "tmp" / "inserts").glob("*/*")), os.listdir(os.environ["TMPDIR"]))
        print(list((home / "tmp" / "inserts").iterdir()))
    """
    elsewhere = tmp_path / "tmpdir"
    elsewhere.mkdir()
    done = run_python(code, url_of(data_dir), str(data_dir), TMPDIR=str(elsewhere))
    assert done.stdout.splitlines() == ["3 True", "[] []", "[]"], done.stderr


def test_what_a_crash_left_is_removed_at_start(data_dir: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from gnomon_collector.store.spool import Spool
        with Spool(Path(sys.argv[1])).file([b"somebody's prompt"]):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    spool = data_dir / "tmp" / "inserts"
    run_python(code, str(spool))
    (spool / "something-else").write_text("")
    assert [path.read_bytes() for path in spool.glob("*/*.insert")] == [b"somebody's prompt"]

    with (
        open_store(url_of(data_dir), data_dir=data_dir),
        open_store(url_of(data_dir), data_dir=data_dir) as store,
    ):
        assert list(spool.glob("*/*.insert")) == []
        assert len(list(spool.iterdir())) == 2
        store.command("CREATE TABLE t (a Int64) ENGINE = Memory")
        store.insert_rows("t", ["a"], [(1,)])


def test_the_directory_is_for_its_owner_alone(data_dir: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir):
        modes = {
            path.name: path.stat().st_mode & 0o077
            for path in (data_dir, data_dir / "chdb", data_dir / "lock")
        }
    assert modes == {data_dir.name: 0, "chdb": 0, "lock": 0}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("chdb://relative/dir", "absolute directory"),
        ("chdb://", "absolute directory"),
        ("chdb:///", "absolute directory"),
        ("sqlite:///x", "must start with chdb://"),
        ("/just/a/path", "must start with chdb://"),
        ("chdb:///x?database=a-b", "database name"),
        ("clickhouse://h/a`b", "database name"),
        ("clickhouse://", "names no host"),
        ("clickhouse://h:99999", "port"),
    ],
)
def test_a_senseless_url_is_explained(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(url)


def test_a_place_where_nothing_can_be_written_is_named(data_dir: Path) -> None:
    data_dir.parent.mkdir(exist_ok=True)
    data_dir.write_text("a file, no directory")
    with pytest.raises(ConfigError, match=str(data_dir)) as caught:
        open_store(url_of(data_dir), data_dir=data_dir)
    assert "--data" in str(caught.value)


def test_another_path_in_one_process_is_refused_by_the_engine(data_dir: Path, tmp_path: Path) -> None:
    with open_store(url_of(data_dir), data_dir=data_dir) as store:
        with pytest.raises(StoreError):
            open_store(f"chdb://{tmp_path / 'other'}")
        store.ping()


def test_times_do_not_depend_on_the_zone_of_the_machine(data_dir: Path) -> None:
    code = """
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from gnomon_collector.store.engine import open_store
        time = datetime(2024, 7, 1, 23, 30, tzinfo=UTC)
        with open_store(sys.argv[1], data_dir=Path(sys.argv[2])) as store:
            store.command("CREATE TABLE t (a DateTime('UTC'), b DateTime64(9, 'UTC')) ENGINE = Memory")
            store.insert_rows("t", ["a", "b"], [(time, time)])
            sql = "SELECT a, b, {p:DateTime}, {p:DateTime64(3)}, toDate(a), now() > b FROM t"
            print([str(value) for value in store.query(sql, {"p": time}).rows[0]])
    """
    done = run_python(code, url_of(data_dir), str(data_dir), TZ="America/New_York")
    time = "2024-07-01 23:30:00+00:00"
    assert done.stdout.strip() == str([time, time, time, time, "2024-07-01", "1"]), done.stderr


FILE_ACCESS = [
    "SELECT file('{secret}')",
    "SELECT `file`('{secret}')",
    "SELECT \"file\"('{secret}')",
    "SELECT FILE /* */ ('{secret}')",
    "SELECT `fi\\x6ce`('{secret}')",
    "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "SELECT arrayMap(file, ['{secret}'])",
    "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "WITH '{secret}' AS p, x AS (SELECT file(p)) SELECT * FROM x",
    "SELECT 'it''s' || file('{secret}')",
    "SELECT 'it\\'s' || file('{secret}') -- '",
    "SELECT $$'$$ || file('{secret}') || $$'$$",
    "SELECT * FROM file('{secret}', 'LineAsString')",
    "SELECT * FROM view(SELECT file('{secret}'))",
    "SELECT * FROM viewIfPermitted(SELECT file('{secret}') AS a ELSE null('a String'))",
    "SELECT * FROM eval('SELECT file(''{secret}'')')",
    "SELECT (SELECT file('{secret}'))",
    "EXPLAIN SELECT file('{secret}')",
    "DESCRIBE TABLE (SELECT file('{secret}') AS a)",
    "SELECT 1 UNION ALL SELECT file('{secret}')",
    "SELECT * FROM Python(people)",
    "SELECT * FROM python('people')",
    "SELECT 1 INTO OUTFILE '{out}'",
    "SELECT 1 INTO/**/outfile '{out}' TRUNCATE FORMAT CSV",
    "SELECT 'a' INTO\nOUTFILE '{out}' AND STDOUT",
    "EXPLAIN SELECT 1 INTO OUTFILE '{out}'",
    "SHOW TABLES INTO OUTFILE '{out}'",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT 1; SELECT file('{secret}')",
    "BACKUP DATABASE gnomon TO File('{out}')",
    "USE system",
    "SET max_threads = 1",
    "EXPLAIN SYNTAX INSERT INTO FUNCTION file('{out}') SELECT 1",
]


@pytest.mark.parametrize("sql", FILE_ACCESS)
def test_sql_of_people_does_not_reach_past_the_database(store: Store, tmp_path: Path, sql: str) -> None:
    secret, out = tmp_path / "secret", tmp_path / "out"
    secret.write_text("top secret")
    people = {"name": ["top secret"]}  # what Python() would find by walking up the frames
    statement = sql.replace("{secret}", str(secret)).replace("{out}", str(out))

    with store.readonly() as reader:
        with pytest.raises((BadRequest, StoreError)) as caught:
            reader.query(statement)
        with pytest.raises((BadRequest, StoreError)):
            b"".join(reader.query_text(statement, None, "JSONEachRow"))

    assert people["name"][0] not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize(
    "plain",
    [
        "SELECT 'file(1)', 'OUTFILE', 'it\\'s file'",
        "SELECT profile, files, fileid FROM t",
        "SHOW TABLES",
        "SELECT 1",
    ],
)
def test_words_that_only_look_like_file_access_are_let_through(plain: str) -> None:
    check_plain_sql(plain)


def test_the_lock_names_a_holder_that_cannot_be_read(tmp_path: Path) -> None:
    import fcntl

    from gnomon_collector.runfile import DataDirLock

    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataDirHeld, match="another process") as caught:
            DataDirLock.acquire(tmp_path)
    assert (caught.value.pid, caught.value.command) == (None, "")
