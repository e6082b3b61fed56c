"""``gnomon query``, beside a server and without one."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import GNOMON, Run, clean_environment, run_gnomon

from gnomon_collector.cli.query import MAX_TABLE_ROWS, cell, json_array, lines

ROWS = """
SELECT number AS n, toUInt64(18446744073709551615) AS big, toInt64(-9223372036854775808) AS small,
    toDateTime64('2024-07-01 12:00:00.123456789', 9, 'UTC') AS time,
    toDateTime('2024-07-01 12:00:00', 'UTC') AS second,
    concat('a,"b\\'\\n', toString(number)) AS text, CAST(NULL, 'Nullable(Float64)') AS nothing, 0.5 AS half,
    [1, 2] AS list, map('k', 'v') AS labels, true AS yes
FROM numbers(2)
"""


def query(gnomon: Run, sql: str, fmt: str) -> str:
    done = gnomon("query", sql, "--format", fmt)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_json_is_one_array_of_objects_with_numbers_and_iso_times(gnomon: Run) -> None:
    rows = json.loads(query(gnomon, ROWS, "json"))
    assert rows == [
        {
            "n": number,
            "big": 2**64 - 1,
            "small": -(2**63),
            "time": "2024-07-01T12:00:00.123456789Z",
            "second": "2024-07-01T12:00:00Z",
            "text": f"a,\"b'\n{number}",
            "nothing": None,
            "half": 0.5,
            "list": [1, 2],
            "labels": {"k": "v"},
            "yes": True,
        }
        for number in range(2)
    ]


def test_json_of_nothing_is_an_empty_array(gnomon: Run) -> None:
    assert query(gnomon, "SELECT 1 AS a WHERE 0", "json") == "[]\n"


def test_csv_has_a_header_and_every_row(gnomon: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(query(gnomon, ROWS, "csv"), newline="")))
    assert [row["n"] for row in rows] == ["0", "1"]
    assert rows[1]["text"] == "a,\"b'\n1"
    assert (rows[0]["big"], rows[0]["nothing"], rows[0]["yes"]) == (str(2**64 - 1), "", "true")
    assert rows[0]["time"] == "2024-07-01T12:00:00.123456789Z"


def test_csv_of_nothing_is_its_header(gnomon: Run) -> None:
    assert query(gnomon, "SELECT 1 AS a, 2 AS b WHERE 0", "csv") == '"a","b"\n'


def test_csv_of_many_rows(gnomon: Run) -> None:
    assert query(gnomon, "SELECT number FROM numbers(300000)", "csv").count("\n") == 300_001


def test_table_shows_names_and_values_and_takes_brackets_as_they_are(gnomon: Run) -> None:
    shown = query(gnomon, "SELECT 'it is [bold]so[/bold]' AS word, 42 AS answer, NULL AS nothing", "table")
    assert "word" in shown and "it is [bold]so[/bold]" in shown and "42" in shown and "None" not in shown


def test_a_long_table_says_how_to_get_the_rest(offline_dir: Path) -> None:
    sql = "SELECT number FROM numbers(1007)"
    done = run_gnomon("query", sql, "--data", str(offline_dir))
    assert MAX_TABLE_ROWS == 1000
    assert "7 more rows: --format csv has them all." in done.stderr


def test_sql_from_standard_input(gnomon: Run) -> None:
    done = gnomon("query", "-", "--format", "json", stdin="SELECT 1 AS a -- that's it;\n;\n")
    assert json.loads(done.stdout) == [{"a": 1}]


def test_the_tables_are_there(gnomon: Run) -> None:
    names = {row["name"] for row in json.loads(query(gnomon, "SHOW TABLES", "json"))}
    assert {"spans", "calls", "scores"} <= names


ERRORS = [
    ("SELEC 1", "json", "Syntax error"),
    ("SELECT * FROM nowhere", "csv", "nowhere"),
    ("SELECT throwIf(number = 5) FROM numbers(10)", "csv", "throwIf"),
    ("SELECT throwIf(number = 5) FROM numbers(10)", "table", "throwIf"),
    ("DROP TABLE spans", "table", "Only reading is possible here"),
    ("SELECT 1; SELECT 2", "json", "one statement"),
    ("SELECT 1 FORMAT JSON", "json", "--format"),
    ("SELECT file('/etc/hostname')", "csv", "'file' is not possible here"),
    ("SELECT 1 INTO OUTFILE '/tmp/gnomon-out'", "csv", "gnomon query ... > FILE"),
]


@pytest.mark.parametrize(("sql", "fmt", "message"), ERRORS)
def test_errors_are_one_line_and_nothing_is_printed(gnomon: Run, sql: str, fmt: str, message: str) -> None:
    done = gnomon("query", sql, "--format", fmt)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ") and message in done.stderr
    assert done.stderr.count("\n") == 1


def test_leaving_a_pipe_early_is_no_accident(offline_dir: Path) -> None:
    command = [
        str(GNOMON),
        "query",
        "SELECT number FROM numbers(5000000)",
        "--format",
        "csv",
        "--data",
        str(offline_dir),
    ]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b'"number"\n'
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == b""


def test_no_data_yet(tmp_path: Path) -> None:
    done = run_gnomon("query", "SELECT 1", "--data", str(tmp_path / "none"))
    assert done.returncode == 2
    assert f"no Gnomon data in {tmp_path / 'none'}" in done.stderr and "gnomon serve" in done.stderr
    assert not (tmp_path / "none").exists()


def test_lines_are_cut_whatever_the_blocks() -> None:
    assert list(lines([b"a", b"b\nc", b"", b"d\n", b"\ne"])) == [b"ab", b"cd", b"", b"e"]
    assert list(lines([])) == []


def test_a_json_array_is_json() -> None:
    assert json.loads(b"".join(json_array([b'{"a": 1}', b"{}"]))) == [{"a": 1}, {}]


def test_cells() -> None:
    assert [cell(value) for value in (None, "é", 1, 0.5, True, ["é"], {"a": None})] == [
        "",
        "é",
        "1",
        "0.5",
        "true",
        '["é"]',
        '{"a": null}',
    ]
