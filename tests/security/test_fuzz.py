"""Hostile input over real HTTP: what the schema allows and a bit more, and broken OTLP; never a 5xx."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import schemathesis
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.api.conftest import Api, api  # noqa: F401
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.server_process import ServerProcess
from tests.ingest.test_requests import CAPTURES, mutated

if TYPE_CHECKING:
    from schemathesis import APIOperation, Case

OPERATIONS = 8
"""Fewer than this means that the description lost some."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def some_times() -> st.SearchStrategy[str]:
    """Half of them of years that are asked about: of any year, nearly all would be refused at the door."""
    ours = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1))
    return (ours | st.datetimes()).map(lambda moment: f"{moment.isoformat()}Z")


def operations(api: Api) -> list[APIOperation]:  # noqa: F811
    headers = {"Authorization": f"Bearer {api.read}"}
    schemathesis.openapi.format("date-time", some_times())
    schema = schemathesis.openapi.from_url(f"{api.url}/api/v1/openapi.json", headers=headers)
    return [each.ok() for each in schema.get_all_operations()]


@pytest.mark.parametrize("examples", [12, pytest.param(400, marks=pytest.mark.slow)])
def test_no_request_to_the_api_is_answered_with_5xx(
    api: Api,  # noqa: F811
    examples: int,
    record_property: Callable[[str, object], None],
) -> None:
    asked: Counter[int] = Counter()
    found = operations(api)
    assert len(found) >= OPERATIONS
    for operation in found:
        for case, status, text in _answers(operation, api, examples):
            asked[status] += 1
            assert status < 500, f"{case.as_curl_command()}\n{status} {text}"
    assert asked[200] > examples // 2
    record_property("figure", f"{asked.total():,} requests of {len(found)} routes, no 5xx")


def _answers(operation: APIOperation, api: Api, examples: int) -> list[tuple[Case, int, str]]:  # noqa: F811
    """Return cases of an operation with status and text: the same ones each time."""
    answers = []

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def ask(case: Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {api.read}"})
        answers.append((case, answer.status_code, answer.text[:500]))

    ask()
    return answers


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("fuzz") / "data") as server:
        yield server


def _as_json(body: bytes) -> bytes:
    return json.dumps(MessageToDict(ExportTraceServiceRequest.FromString(body))).encode()


@pytest.mark.parametrize("mutations", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_mutated_otlp_is_accepted_or_refused_and_the_server_lives(
    own_server: ServerProcess, mutations: int, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(20261123)
    json_bodies = [_as_json(body) for body in CAPTURES[:20]]
    key, statuses = own_server.key(f"fuzz{mutations}"), Counter[int]()
    connection = http.client.HTTPConnection(urlsplit(own_server.url).netloc, timeout=60)
    for number in range(mutations):
        is_json = number % 5 == 0
        body = mutated(chance.choice(json_bodies if is_json else CAPTURES), chance)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": JSON if is_json else PROTOBUF}
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        assert answer.status in (200, 400, 413), (number, answer.status)
    good = own_server.key(f"good{mutations}")
    own_server.export(request([chat_span(1, hour_ago_ns())]), good)
    own_server.wait_until_written()
    rows = own_server.query(f"SELECT count() AS n FROM spans WHERE project = 'good{mutations}'")
    assert rows == [{"n": 1}] and statuses[200] and statuses[400]
    said = (
        f"{mutations:,} mutations: {statuses[200]:,} accepted, {mutations - statuses[200]:,} refused, no 5xx"
    )
    record_property("figure", f"{said}; the server lives")
