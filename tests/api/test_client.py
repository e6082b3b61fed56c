"""`gnomon.client` against the real API."""

from __future__ import annotations

import sys

import pytest
from tests.api.conftest import Api

from gnomon.client import Client, ClientError


@pytest.fixture
def client(api: Api) -> Client:
    return Client(api.url, api.read)


def test_metrics_are_a_frame(client: Client) -> None:
    frame = client.metrics("requests", "cost_usd", by="prompt_version", range="12h")
    assert list(frame.columns) == ["time", "metric", "prompt_version", "value"]
    assert str(frame["time"].dtype).endswith("UTC]")
    assert frame[frame.metric == "requests"]["value"].sum() == 60


def test_totals_have_a_column_per_metric(client: Client) -> None:
    frame = client.totals("requests", "cost_usd", by=["prompt_version"], range="12h")
    assert list(frame.columns) == ["prompt_version", "requests", "cost_usd"]
    assert frame.set_index("prompt_version")["requests"].to_dict() == {"v8": 30, "v9": 30}
    assert client.totals("requests", range="12h", prompt_version="v9")["requests"][0] == 30


def test_calls_traces_and_scores_are_frames(client: Client, api: Api) -> None:
    calls = client.calls("prompt_version:v9", range="12h")
    assert len(calls) == 30 and calls["cost_usd"].max() == pytest.approx(0.002)
    assert str(calls["time"].dtype).endswith("UTC]")
    assert len(client.traces(range="12h")) == 120
    assert set(client.scores(range="12h")["name"]) == {"user_feedback", "correction"}
    assert len(client.trace(api.trace_ids[3])["spans"]) == 3
    assert {"name", "unit", "better"} <= set(client.catalogue()[0])


def test_lines_need_no_pandas(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert sum(1 for _ in client.lines("fine-tuning", range="12h")) > 30
    with pytest.raises(ClientError, match="pip install pandas"):
        client.calls(range="12h")


def test_refusals_say_why(api: Api) -> None:
    with pytest.raises(ClientError, match="needs a key") as refused:
        Client(api.url, "gnm_r_wrong").catalogue()
    assert refused.value.status == 401
    with pytest.raises(ClientError, match="There is no field"):
        list(Client(api.url, api.read).lines("calls", "nosuch:1"))
    with pytest.raises(ClientError, match="cannot be reached"):
        Client("http://127.0.0.1:9", api.read, timeout_s=2).catalogue()
