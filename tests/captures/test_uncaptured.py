"""What was written by hand from the SDKs' habits counts as was worked out by hand, in both encodings of HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.captures.transports import TRANSPORTS, Transport
from tests.captures.uncaptured import SCENARIOS, Log, Scenario
from tests.ingest.server_process import ServerProcess

HTTP = tuple(each for each in TRANSPORTS if each.name in ("HTTP, protobuf", "HTTP, JSON"))
ENOUGH_IDS = 100
COLUMNS = (
    "project, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, status,"
    " cost_usd"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("uncaptured") / "data") as server:
        yield server


@pytest.fixture(scope="module", params=HTTP, ids=lambda each: each.name)
def calls(
    request: pytest.FixtureRequest, server: ServerProcess
) -> Iterator[Mapping[str, list[dict[str, Any]]]]:
    """Every scenario's calls in order, each in a project of its own."""
    transport: Transport = request.param
    projects = {name: f"u{HTTP.index(transport)}-{number}" for number, name in enumerate(SCENARIOS)}
    for number, (name, project) in enumerate(projects.items(), 1):
        key = server.key(project)
        for each in SCENARIOS[name].sent:
            signal = "logs" if isinstance(each, Log) else "traces"
            transport.post(server, key, signal, each.body(number * ENOUGH_IDS))
    server.wait_until_written()
    rows = server.query(
        f"SELECT {COLUMNS} FROM calls WHERE startsWith(project, 'u{HTTP.index(transport)}-')"
        " ORDER BY start_time, span_id"
    )
    yield {name: [row for row in rows if row["project"] == project] for name, project in projects.items()}


@pytest.mark.parametrize("name", SCENARIOS)
def test_calls_are_those_worked_out_by_hand(name: str, calls: Mapping[str, list[dict[str, Any]]]) -> None:
    scenario: Scenario = SCENARIOS[name]
    found = [tuple(row.values())[1:-1] for row in calls[name]]
    assert found == list(scenario.calls)
    costs = [row["cost_usd"] for row in calls[name] if row["cost_usd"] is not None]
    if scenario.cost_usd_e6 is not None:
        assert sum(costs) * 1e6 == pytest.approx(scenario.cost_usd_e6)
    assert len(costs) == sum(call[1] is not None for call in scenario.calls)
