"""What a store must do, on the embedded engine and over ClickHouse's HTTP interface alike."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from tests.store.corpus import HOSTILE_TEXTS

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.store.engine import Store

TIME = datetime(2024, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)

PROBE = """
CREATE TABLE probe
(
    id UInt64,
    name LowCardinality(String),
    text String,
    amount Nullable(Float64),
    is_on Nullable(Bool),
    day Date,
    second DateTime('UTC'),
    nano DateTime64(9, 'UTC'),
    tags Array(String),
    labels Map(String, String),
    pair Tuple(a String, b Nullable(Int64))
)
ENGINE = MergeTree
ORDER BY id
"""
COLUMNS = ["id", "name", "text", "amount", "is_on", "day", "second", "nano", "tags", "labels", "pair"]
ROW: tuple[object, ...] = (
    2**64 - 1,
    "shop",
    "it's \\ \n 日本",
    None,
    False,
    date(2024, 2, 29),
    TIME.replace(microsecond=0),
    TIME,
    ["", "a'b"],
    {"k": "v\\"},
    ("x", None),
)


@pytest.fixture
def probe(any_store: Store) -> Iterator[Store]:
    any_store.command(PROBE)
    yield any_store
    any_store.command("DROP TABLE probe")


def insert_texts(store: Store, texts: list[str]) -> None:
    store.insert_rows("probe", ["id", "text"], list(enumerate(texts)))


def test_values_of_all_types_come_back_as_they_went_in(probe: Store) -> None:
    probe.insert_rows("probe", COLUMNS, [ROW])

    result = probe.query("SELECT * FROM probe")

    assert result.columns == tuple(COLUMNS)
    assert result.types[:4] == ("UInt64", "LowCardinality(String)", "String", "Nullable(Float64)")
    *values, pair = result.rows[0]
    assert tuple(values) == ROW[:-1]
    assert tuple(pair.values() if isinstance(pair, dict) else pair) == ROW[-1]  # type: ignore[arg-type]


def test_no_rows_keep_their_columns(probe: Store) -> None:
    result = probe.query("SELECT id, text FROM probe WHERE id = 1")
    assert (result.columns, result.types, result.rows) == (("id", "text"), ("UInt64", "String"), [])


def test_inserting_nothing_is_no_error(probe: Store) -> None:
    probe.insert_rows("probe", COLUMNS, [])
    assert probe.query("SELECT count() FROM probe").rows == [(0,)]


def test_rows_as_dicts(any_store: Store) -> None:
    assert any_store.query("SELECT 1 AS a, 'x' AS b").dicts() == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_bound_text_is_a_value_and_nothing_else(any_store: Store, text: str) -> None:
    assert any_store.query("SELECT {s:String} AS s", {"s": text}).rows == [(text,)]


def test_bound_texts_in_arrays(any_store: Store) -> None:
    sql = "SELECT {many:Array(String)} AS many, mapFromArrays(many, arrayReverse(many)) AS labels"
    labels = dict(zip(HOSTILE_TEXTS, reversed(HOSTILE_TEXTS), strict=True))
    assert any_store.query(sql, {"many": HOSTILE_TEXTS}).rows == [(HOSTILE_TEXTS, labels)]


def test_a_dict_is_not_bound(any_store: Store) -> None:
    with pytest.raises(ValueError, match="mapFromArrays"):
        any_store.query("SELECT {m:Map(String, String)}", {"m": {"a": "b"}})


def test_a_filter_by_hostile_text_finds_that_row_alone_and_harms_nothing(probe: Store) -> None:
    insert_texts(probe, HOSTILE_TEXTS)

    found = [
        probe.query("SELECT id FROM probe WHERE text = {text:String}", {"text": text}).rows
        for text in HOSTILE_TEXTS
    ]

    assert found == [[(index,)] for index in range(len(HOSTILE_TEXTS))]
    assert probe.query("SELECT count() FROM probe").rows == [(len(HOSTILE_TEXTS),)]


def test_hostile_text_in_a_command_stays_a_value(probe: Store) -> None:
    for index, text in enumerate(HOSTILE_TEXTS):
        probe.command(
            "INSERT INTO probe (id, text) SELECT {id:UInt64}, {text:String}", {"id": index, "text": text}
        )
    rows = probe.query("SELECT text FROM probe ORDER BY id").rows
    assert [row[0] for row in rows] == HOSTILE_TEXTS


def test_hostile_text_in_query_text_stays_a_value(any_store: Store) -> None:
    lines = b"".join(
        any_store.query_text(
            "SELECT arrayJoin({many:Array(String)}) AS s", {"many": HOSTILE_TEXTS}, "JSONEachRow"
        )
    )
    assert [json.loads(line)["s"] for line in lines.splitlines()] == HOSTILE_TEXTS


def test_a_parameter_longer_than_a_url(any_store: Store) -> None:
    text = "é'" * 300_000
    assert any_store.query("SELECT {s:String} AS s", {"s": text}).rows == [(text,)]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT 1", {"x": 1}),
        ("SELECT %(x)s", {"x": "1"}),
        ("SELECT {y:String}", {"x": "1", "y": "2"}),
        ("SELECT {x:String}", {"x": "1", "x y": "2"}),
    ],
)
def test_a_parameter_that_the_database_would_not_bind_is_refused(
    any_store: Store, sql: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="is not in the SQL"):
        any_store.query(sql, parameters)


def test_times_are_utc_whatever_zone_they_come_in(any_store: Store) -> None:
    elsewhere = TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))
    row = any_store.query(
        "SELECT {a:DateTime64(9, 'UTC')}, {b:DateTime64(6)}, {c:DateTime}, {d:Array(DateTime64(9, 'UTC'))},"
        " toDateTime('2024-07-01 12:30:15'), toStartOfDay({a:DateTime64(9, 'UTC')})",
        {"a": elsewhere, "b": elsewhere, "c": elsewhere, "d": [elsewhere]},
    ).rows[0]
    second = TIME.replace(microsecond=0)
    assert row == (TIME, TIME, second, [TIME], second, datetime(2024, 7, 1, tzinfo=UTC))
    assert all(value.utcoffset() == timedelta(0) for value in row if isinstance(value, datetime))


def test_a_syntax_error_says_so_in_one_line(any_store: Store) -> None:
    with pytest.raises(StoreError, match="Syntax error") as caught:
        any_store.query("SELEC 1")
    assert (caught.value.code, caught.value.name) == (62, "SYNTAX_ERROR")
    assert "version" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unknown_table_is_named(any_store: Store) -> None:
    with pytest.raises(StoreError, match="nowhere") as caught:
        any_store.query("SELECT * FROM nowhere")
    assert caught.value.code == 60


def test_an_error_does_not_repeat_bound_values(any_store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        any_store.query(
            "SELECT nope FROM system.one WHERE toString(dummy) = {s:String}", {"s": "my secret prompt"}
        )
    assert "my secret prompt" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        any_store.query("SELECT {n:UInt8}", {"n": "my secret prompt"})
    assert "my secret prompt" not in str(caught.value)


def test_a_value_that_does_not_fit_its_column_is_refused_whole(probe: Store) -> None:
    with pytest.raises(StoreError, match="probe"):
        probe.insert_rows("probe", ["id", "nano"], [(1, TIME), (2, "no time at all")])
    assert probe.query("SELECT count() FROM probe").rows == [(0,)]


def test_raw_insert_of_text_and_of_nothing_understandable(probe: Store) -> None:
    probe.insert_raw("probe", b'{"id": 1, "text": "a"}\n{"id": 2}\n', "JSONEachRow")
    with pytest.raises(StoreError) as caught:
        probe.insert_raw("probe", b"this is no JSON", "JSONEachRow")
    assert caught.value.code is not None
    assert probe.query("SELECT id, text FROM probe ORDER BY id").rows == [(1, "a"), (2, "")]


def test_raw_insert_of_protobuf_with_its_schema_in_a_setting(any_store: Store) -> None:
    schema = 'syntax = "proto3"; /* it\'s \\ quoted */ message Row { uint64 id = 1; string text = 2; }'
    settings = {
        "format_schema_source": "string",
        "format_schema": schema,
        "format_schema_message_name": "Row",
    }
    any_store.command("CREATE TABLE raw (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
    try:
        any_store.insert_raw("raw", b"\x08\x07\x12\x02hi", "ProtobufSingle", settings)
        assert any_store.query("SELECT * FROM raw").rows == [(7, "hi")]
    finally:
        any_store.command("DROP TABLE raw")


def test_raw_insert_of_megabytes(probe: Store) -> None:
    payload = b"".join(b'{"id": %d, "text": "%s"}\n' % (n, b"x" * 1000) for n in range(20_000))
    probe.insert_raw("probe", payload, "JSONEachRow")
    assert probe.query("SELECT count(), sum(length(text)) FROM probe").rows == [(20_000, 20_000_000)]


@pytest.mark.parametrize("fmt", ["CSV; DROP TABLE probe", "", "CSV FORMAT TSV"])
def test_a_format_is_a_name(probe: Store, fmt: str) -> None:
    with pytest.raises(ValueError, match="ClickHouse format"):
        probe.insert_raw("probe", b"", fmt)
    with pytest.raises(ValueError, match="ClickHouse format"):
        next(probe.query_text("SELECT 1", None, fmt))


def test_settings_hold_for_one_statement(any_store: Store) -> None:
    sql = "SELECT toUInt64(getSetting('max_block_size'))"
    before = any_store.query(sql).rows
    assert any_store.query(sql, settings={"max_block_size": 1234}).rows == [(1234,)]
    any_store.command("SELECT 1", settings={"max_block_size": 1235})
    assert any_store.query(sql).rows == before


def test_inserts_are_not_asynchronous(any_store: Store) -> None:
    assert any_store.query("SELECT toBool(getSetting('async_insert'))").rows == [(False,)]


def test_csv_has_a_header_and_every_row(any_store: Store) -> None:
    sql = "SELECT number AS n, concat('a,\"', toString(number)) AS text FROM numbers({n:UInt64})"
    text = b"".join(any_store.query_text(sql, {"n": 200_000}, "CSVWithNames")).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["n", "text"]
    assert len(rows) == 200_001
    assert rows[-1] == ["199999", 'a,"199999']


def test_csv_of_a_statement_that_is_no_select(any_store: Store) -> None:
    text = b"".join(any_store.query_text("SHOW TABLES LIKE 'api_keys'")).decode()
    assert text.splitlines() == ['"name"', '"api_keys"']


def test_a_long_answer_comes_in_blocks_and_may_be_left_early(any_store: Store) -> None:
    blocks = any_store.query_text("SELECT number FROM numbers(10000000)", None, "CSVWithNames")
    sizes = [len(next(blocks)) for _ in range(3)]
    blocks.close()  # type: ignore[attr-defined]
    assert max(sizes) < 8_000_000
    assert any_store.query("SELECT 1").rows == [(1,)]


def test_a_stream_does_not_hinder_other_statements_of_its_thread(any_store: Store) -> None:
    blocks = any_store.query_text("SELECT number FROM numbers(3000000)", None, "CSV")
    first = next(blocks)
    assert any_store.query("SELECT 1").rows == [(1,)]
    assert (first + b"".join(blocks)).count(b"\n") == 3_000_000


def test_a_stream_may_be_read_in_other_threads(any_store: Store) -> None:
    blocks = any_store.query_text("SELECT number FROM numbers(1000000)", None, "CSV")
    lines = 0
    for _ in range(1000):
        with ThreadPoolExecutor(1) as pool:
            block = pool.submit(next, blocks, b"").result()
        if not block:
            break
        lines += block.count(b"\n")
    assert lines == 1_000_000


def test_an_error_of_a_stream_comes_with_its_first_block(any_store: Store) -> None:
    blocks = any_store.query_text("SELECT nope FROM system.one")
    with pytest.raises(StoreError, match="nope"):
        next(blocks)


def test_many_threads_at_once_each_get_their_own_answer(probe: Store) -> None:
    def work(number: int) -> list[tuple[object, ...]]:
        probe.insert_rows("probe", ["id"], [(number,)])
        return probe.query("SELECT {n:UInt64}, count() FROM probe WHERE id = {n:UInt64}", {"n": number}).rows

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(64)))

    assert answers == [[(number, 1)] for number in range(64)]
    assert probe.query("SELECT count() FROM probe").rows == [(64,)]


def test_threads_that_come_and_go_leave_the_store_usable(any_store: Store) -> None:
    answers: list[object] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: answers.append(any_store.query("SELECT 1").rows))
        thread.start()
        thread.join()
    assert answers == [[(1,)]] * 5
    assert any_store.query("SELECT 1").rows == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE probe",
        "TRUNCATE TABLE probe",
        "INSERT INTO probe (id) VALUES (1)",
        "ALTER TABLE probe DELETE WHERE 1",
        "CREATE TABLE other (a Int8) ENGINE = Memory",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT 1 SETTINGS readonly = 0",
        "SET readonly = 0",
        "SYSTEM SHUTDOWN",
        "SELECT 1; DROP TABLE probe",
        "SELECT 1 FORMAT Null",
    ],
)
def test_a_readonly_handle_only_reads(probe: Store, sql: str) -> None:
    insert_texts(probe, ["kept"])
    with probe.readonly() as reader, pytest.raises((StoreError, BadRequest)):
        reader.query(sql)
    assert probe.query("SELECT text FROM probe").rows == [("kept",)]


def test_a_readonly_handle_reads_what_people_ask(probe: Store) -> None:
    insert_texts(probe, ["a", "b"])
    with probe.readonly() as reader:
        assert reader.query("WITH x AS (SELECT text FROM probe) SELECT count() FROM x").rows == [(2,)]
        assert ("probe",) in reader.query("SHOW TABLES").rows
        assert reader.query("DESCRIBE TABLE probe").rows[0][0] == "id"
        assert reader.query("SELECT 'INTO OUTFILE', 'file(1)' -- file(").rows == [("INTO OUTFILE", "file(1)")]
        assert reader.query("SELECT text FROM probe WHERE id = {id:UInt64};", {"id": 1}).rows == [("b",)]
        assert reader.query("EXPLAIN SELECT 1").rows


def test_a_readonly_handle_writes_formats_that_programs_read(any_store: Store) -> None:
    sql = (
        "SELECT toDateTime64('2024-07-01 12:00:00.5', 3, 'UTC') AS t, toUInt64(18446744073709551615) AS n,"
        " nan AS x, CAST(NULL, 'Nullable(Int8)') AS z"
    )
    with any_store.readonly() as reader:
        as_json = json.loads(b"".join(reader.query_text(sql, None, "JSONEachRow")))
        as_csv = b"".join(reader.query_text(sql, None, "CSVWithNames")).decode().splitlines()
    assert as_json == {"t": "2024-07-01T12:00:00.500Z", "n": 2**64 - 1, "x": None, "z": None}
    assert as_csv[1].startswith('"2024-07-01T12:00:00.500Z",18446744073709551615,')
    assert as_csv[1].endswith(",")


def test_ping_and_names(any_store: Store) -> None:
    any_store.ping()
    assert any_store.database == "gnomon"
    assert any_store.query("SELECT currentDatabase()").rows == [("gnomon",)]
