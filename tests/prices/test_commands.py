"""`gnomon prices` and `gnomon reprice`: beside a running server, and on a directory that no server has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import run_gnomon, run_here
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.server_process import ServerProcess

OWN = '[[price]]\nmodel = "our-own"\ninput = {input}\noutput = {input}\n'
YESTERDAY = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"


@dataclass
class Priced:
    """A server with a call of a model that no list knows, and its price file."""

    server: ServerProcess
    file: Path

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    def cost(self) -> float | None:
        (row,) = self.server.query("SELECT sum(cost_usd) AS usd FROM calls WHERE model = 'our-own'")
        cost: float | None = row["usd"]
        return cost


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Priced]:
    home = tmp_path_factory.mktemp("priced")
    file = home / "prices.toml"
    file.write_text("", encoding="utf-8")
    with ServerProcess(home / "data", settings={"GNOMON_PRICE_FILE": str(file)}) as server:
        calls = [chat_span(1, hour_ago_ns()), chat_span(2, hour_ago_ns(), model="our-own")]
        server.export(request(calls), server.key("shop"))
        server.wait_until_written()
        yield Priced(server, file)


def test_a_price_that_was_missing_is_found_written_and_set(priced: Priced) -> None:
    data = ("--data", str(priced.server.data_dir))
    missing = run_gnomon("prices", "check", "--json", *data)
    assert missing.returncode == 1
    assert [(each["model"], each["calls"], each["is_known_now"]) for each in json.loads(missing.stdout)] == [
        ("our-own", 1, False)
    ]
    assert priced.cost() is None

    priced.write(OWN.format(input=10))
    tried = run_gnomon("reprice", "--since", YESTERDAY, "--dry-run", "--json", *data)
    assert [each["changed"] for each in json.loads(tried.stdout) if each["model"] == "our-own"] == [1]
    assert priced.cost() is None
    assert "has a price now: gnomon reprice" in run_gnomon("prices", "check", *data).stdout

    done = run_gnomon("reprice", "--since", YESTERDAY, *data)
    assert done.stdout.endswith("1 of 2 calls changed.\n")
    assert priced.cost() == pytest.approx(110 * 10 / 1e6)
    assert run_gnomon("reprice", "--since", YESTERDAY, *data).stdout.endswith("0 of 2 calls changed.\n")

    every = run_gnomon("prices", "check", *data)
    assert (every.returncode, every.stdout) == (0, "Every model that was seen has a price.\n")
    shown = run_gnomon("prices", "show", "our-own", *data)
    assert "$10.00" in shown.stdout and "prices.toml " in shown.stdout


def test_new_calls_get_the_new_price_without_a_restart(priced: Priced) -> None:
    priced.write(OWN.format(input=30))
    run_gnomon(
        "reprice", "--since", YESTERDAY, "--model", "gpt-4o-mini", "--data", str(priced.server.data_dir)
    )
    before = priced.cost() or 0.0
    priced.server.export(request([chat_span(3, hour_ago_ns(), model="our-own")]), priced.server.key("shop"))
    priced.server.wait_until_written()
    assert (priced.cost() or 0) - before == pytest.approx(110 * 30 / 1e6)


def test_a_bad_file_is_refused_and_changes_nothing(priced: Priced) -> None:
    before = priced.cost()
    priced.write("[[price]]\ninput = 3")
    refused = run_gnomon("reprice", "--since", YESTERDAY, "--data", str(priced.server.data_dir))
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: price_file is wrong: prices.toml, price 1: model is missing")
    assert priced.cost() == before


def test_a_server_does_not_start_on_a_bad_file(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[[price]]\nmodel = "x"\ninput = "cheap"', encoding="utf-8")
    done = run_gnomon("serve", "--data", str(tmp_path / "data"), env={"GNOMON_PRICE_FILE": str(bad)})
    assert done.returncode == 2
    assert done.stderr == (
        "Error: price_file is wrong: bad.toml, price 1 (x): input must be a number without quotes, not 'cheap'.\n"
    )


def test_a_directory_without_a_server_is_priced_too(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("", encoding="utf-8")
    with ServerProcess(tmp_path / "data", settings={"GNOMON_PRICE_FILE": str(file)}) as server:
        server.export(request([chat_span(2, hour_ago_ns(), model="our-own")]), server.key("shop"))
        server.wait_until_written()
        server.terminate(30)
    file.write_text(OWN.format(input=10), encoding="utf-8")
    env, data = {"GNOMON_PRICE_FILE": str(file)}, ("--data", str(tmp_path / "data"))
    assert run_gnomon("prices", "check", *data, env=env).returncode == 1
    done = run_gnomon("reprice", "--since", YESTERDAY, *data, env=env)
    assert done.stdout.endswith("1 of 1 calls changed.\n"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "gpt-4o-mini"), 0, "genai-prices"),
        (("show", "deepseek-chat"), 0, "00:30–16:30"),
        (("show", "claude-sonnet-4-5", "--at", "2026-11-01", "--json"), 0, '"cache_write_1h_tokens"'),
        (("show", "gpt-5", "--at", "2026-11-01"), 0, "flex"),
        (("show", "gpt-4o", "--provider", "Azure.AI.OpenAI", "--at", "2026-03-01"), 0, "$2.50"),
        (("show", "no-such-model"), 1, '[[price]]\nmodel = "no-such-model"'),
        (("show", "gpt-4o-mini", "--at", "2014-01-01"), 1, "No price is known for gpt-4o-mini at 2014-01-01"),
    ],
)
def test_prices_are_shown_without_any_data(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run_here("prices", *arguments, "--data", str(tmp_path))
    assert done.returncode == code
    assert says in done.stdout + done.stderr


def test_what_is_billed_beside_plain_tokens_is_shown_whole(tmp_path: Path) -> None:
    done = run_here(
        "prices", "show", "gpt-realtime", "--data", str(tmp_path), env={"COLUMNS": "300", "NO_COLOR": "1"}
    )
    titles, values, *_ = done.stdout.splitlines()
    assert "input audio" in titles and "cache audio read" in titles
    assert values.split()[1:9] == [
        "$4.00",
        "$16.00",
        "$0.4000",
        "$32.00",
        "$64.00",
        "$0.4000",
        "$5.00",
        "$0.5000",
    ]


def test_amounts_are_shown_in_the_configured_currency(tmp_path: Path) -> None:
    env = {"GNOMON_CURRENCY": "RUB", "GNOMON_CURRENCY_PER_USD": "80"}
    done = run_here("prices", "show", "gpt-4o-mini", "--data", str(tmp_path), env=env)
    assert "12.00 ₽" in done.stdout and "RUB per million tokens" in done.stdout


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"GNOMON_CURRENCY": "Euro"}, "GNOMON_CURRENCY is wrong"),
        ({"GNOMON_CURRENCY_PER_USD": "0"}, "GNOMON_CURRENCY_PER_USD is wrong"),
        ({"GNOMON_PRICE_FILE": "/no/where.toml"}, "Cannot read the price file /no/where.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, env: dict[str, str], says: str) -> None:
    done = run_here("prices", "show", "gpt-4o-mini", "--data", str(tmp_path), env=env)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    done = run_here("reprice", "--since", "2026-02-01", "--until", "2026-01-01", "--data", str(tmp_path))
    assert done.returncode == 2
    assert "--since must be before --until" in done.stderr
