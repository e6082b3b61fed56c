"""The SDKs of `sdks`, installed and run against a live collector and the stand-in provider.

Environments are made when first needed and kept (see `playing.environments`); an SDK that cannot be installed here is
skipped. What the provider answered is the truth, less what the SDK is known to leave out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from tests.captures.recorded import FIGURES, OTHERWISE, TRUTHS, differences, told
from tests.conformance.playing import UnavailableError, play
from tests.conformance.record import truth
from tests.conformance.sdks import SDKS
from tests.conformance.wire import Scenario, Wire
from tests.demo.conftest import serving
from tests.ingest.server_process import ServerProcess

pytestmark = pytest.mark.slow
TOKENS = ", ".join(f"sum(c.{name}) AS {name}" for name in FIGURES)
QUESTION_RU = "Здравствуйте! Как вернуть дождевик"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("live") / "data") as running:
        yield running


@pytest.mark.parametrize("name", SDKS)
def test_a_service_is_counted_as_it_was(server: ServerProcess, name: str) -> None:
    wire = Wire()
    with serving(wire.app()) as provider_url:
        try:
            play(name, SDKS[name], provider_url=provider_url, otlp_url=server.url, key=server.key(name))
        except UnavailableError as error:
            pytest.skip(str(error))
    server.wait_until_written()
    (counted,) = server.query(
        f"SELECT count() AS calls, {TOKENS}, countIf(status = 'error') AS errors FROM calls AS c"
        f" WHERE project = '{name}'"
    )
    assert differences(counted, _in_all(name, wire.scenarios)) == []
    calls = server.query(f"SELECT dialect, input_text FROM calls WHERE project = '{name}'")
    assert {call["dialect"] for call in calls} == SDKS[name].dialects
    assert [call for call in calls if QUESTION_RU in call["input_text"]]


def _in_all(name: str, scenarios: Mapping[str, Scenario]) -> dict[str, int | None]:
    """The sum over the scenarios of which the SDK tells anything."""
    known = TRUTHS.get(name, scenarios)
    listed = [
        told(name, scenario, truth(scenario, found.calls))
        for scenario, found in scenarios.items()
        if scenario in known
    ]
    return {figure: sum(each[figure] or 0 for each in listed) for figure in ("calls", *FIGURES, "errors")}


def test_what_is_known_to_be_left_out_is_of_an_sdk_that_is_run() -> None:
    assert {folder for folder, _ in OTHERWISE} <= set(SDKS)
