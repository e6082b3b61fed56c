"""``gnomon query``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json, reach

MAX_TABLE_ROWS = 1000


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "fmt",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
    help="table to look at; json is one array of objects; csv has a header.",
)
@data_option
def query(sql: str, fmt: str) -> None:
    """Run a reading SQL statement in ClickHouse's dialect. A lone - reads it from standard input.

    Tables: spans (one row per span), calls (one row per billable model call), scores, calls_per_minute and
    calls_per_hour (read these two with FINAL). `SHOW TABLES` and `DESCRIBE calls` tell more.
    In json and csv times are ISO 8601 in UTC and 64-bit integers are numbers.

    \b
    Examples:
      gnomon query "SELECT model, count(), sum(cost_usd) FROM calls GROUP BY model"
      gnomon query "SELECT * FROM spans WHERE status = 'error' LIMIT 10" --format json
      gnomon query "SELECT start_time, input_text FROM calls" --format csv > calls.csv
    """
    text = sys.stdin.read() if sql == "-" else sql
    with reach(settings_of()) as way:
        if fmt == "csv":
            _write(way.query(text, "csv"))
        elif fmt == "json":
            _write(json_array(lines(_with_spinner(way.query(text, "json_lines")))))
        else:
            _print_table(lines(_with_spinner(way.query(text, "table"))))


def lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks of bytes at newlines, whatever the blocks' borders."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def json_array(objects: Iterable[bytes]) -> Iterator[bytes]:
    """Make one JSON array, an object a line, of JSON texts."""
    separator = b"["
    for item in objects:
        yield separator + b"\n" + item
        separator = b","
    yield b"[]\n" if separator == b"[" else b"\n]\n"


def cell(value: Json) -> str:
    """Show a value in a table."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write(blocks: Iterable[bytes]) -> None:
    for block in blocks:
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _with_spinner(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Show that something goes on until the first block is there."""
    from rich.console import Console

    with Console(stderr=True).status("Waiting for the database"):
        first = next(blocks, b"")
    yield first
    yield from blocks


def _print_table(rows: Iterator[bytes]) -> None:
    from rich.table import Table
    from rich.text import Text

    names: list[str] = json.loads(next(rows, b"[]"))
    types: list[str] = json.loads(next(rows, b"[]"))
    table = Table(*names, header_style="bold")
    for column, kind in zip(table.columns, types, strict=True):
        column.justify = "right" if _is_number(kind) else "left"
        column.overflow = "fold"
    count = 0
    for count, row in enumerate(rows, start=1):
        if count <= MAX_TABLE_ROWS:
            # Text, not str: brackets in somebody's prompt are not markup.
            table.add_row(*(Text(cell(value)) for value in json.loads(row)))
    table_console().print(table)
    if count > MAX_TABLE_ROWS:
        click.echo(f"{count - MAX_TABLE_ROWS} more rows: --format csv has them all.", err=True)


def _is_number(clickhouse_type: str) -> bool:
    bare = clickhouse_type.removeprefix("Nullable(").removeprefix("LowCardinality(")
    return bare.startswith(("Int", "UInt", "Float", "Decimal"))
