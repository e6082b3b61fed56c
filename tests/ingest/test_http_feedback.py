"""``POST /v1/feedback`` over a real socket."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from tests.ingest.server_process import ServerProcess

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
JSON = "application/json"


def post(server: ServerProcess, key: str, body: object, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.post("/v1/feedback", content, key, **{"content_type": JSON, **headers})


def scores(server: ServerProcess, project: str) -> list[dict[str, Any]]:
    columns = "score_id, trace_id, span_id, session_id, name, value, label, comment, source, author"
    return server.query(
        f"SELECT {columns}, toString(created_at) AS created_at"
        f" FROM scores FINAL WHERE project = '{project}' ORDER BY score_id"
    )


def test_one_score(server: ServerProcess) -> None:
    answer = post(server, server.key("one"), {"trace_id": TRACE_ID.upper(), "value": 1, "comment": "Ура!"})
    assert answer.status_code == 200
    (stored,) = scores(server, "one")
    assert answer.json() == {"score_ids": [stored["score_id"]]}
    assert (stored["trace_id"], stored["value"], stored["comment"]) == (TRACE_ID, 1, "Ура!")
    assert (stored["name"], stored["source"]) == ("user_feedback", "user")


def test_many_scores_of_all_fields(server: ServerProcess) -> None:
    sent = [
        {
            "score_id": f"id-{number}",
            "trace_id": TRACE_ID,
            "span_id": "b7ad6b7169203331",
            "session_id": "s-1",
            "name": "helpful",
            "value": number / 10,
            "label": "scores",
            "comment": 'says "scores"',
            "source": "human",
            "author": "ann",
            "created_at": "2026-05-01T12:00:00+02:00",
        }
        for number in range(10)
    ]
    answer = post(server, server.key("many"), {"scores": sent})
    assert answer.json() == {"score_ids": [score["score_id"] for score in sent]}
    assert scores(server, "many") == [
        {**score, "created_at": "2026-05-01 10:00:00.000000000"} for score in sent
    ]


def test_a_score_with_the_word_scores_is_one_score(server: ServerProcess) -> None:
    assert post(server, server.key("word"), {"session_id": "scores", "value": 0}).status_code == 200
    assert [score["session_id"] for score in scores(server, "word")] == ["scores"]


def test_the_same_id_again_replaces(server: ServerProcess) -> None:
    key = server.key("again")
    sent = {"score_id": "mine", "trace_id": TRACE_ID, "created_at": "2026-05-01T00:00:00Z"}
    for value in (0.0, 0.0, 1.0):
        assert post(server, key, {**sent, "value": value}).json() == {"score_ids": ["mine"]}
    assert [score["value"] for score in scores(server, "again")] == [1]


def test_the_same_id_again_replaces_without_a_time_too(server: ServerProcess) -> None:
    key = server.key("again-no-time")
    for value in (0.0, 1.0):
        post(server, key, {"score_id": "mine", "trace_id": TRACE_ID, "value": value})
    assert [score["value"] for score in scores(server, "again-no-time")] == [1]


def test_the_same_id_in_two_projects_is_two_scores(server: ServerProcess) -> None:
    for project, value in (("left", 0), ("right", 1)):
        post(server, server.key(project), {"score_id": "same", "trace_id": TRACE_ID, "value": value})
    assert [score["value"] for score in scores(server, "left")] == [0]
    assert [score["value"] for score in scores(server, "right")] == [1]


def test_gzip(server: ServerProcess) -> None:
    body = gzip.compress(json.dumps({"session_id": "s", "label": "good"}).encode())
    assert post(server, server.key("gzip"), body, content_encoding="gzip").status_code == 200
    assert [score["label"] for score in scores(server, "gzip")] == ["good"]


def test_a_publishable_key_speaks_for_users_only(server: ServerProcess) -> None:
    key = server.key("public", "feedback")
    post(server, key, {"trace_id": TRACE_ID, "value": 0, "source": "judge", "author": "me"})
    assert [(score["source"], score["author"]) for score in scores(server, "public")] == [("user", "me")]


GOOD = {"trace_id": TRACE_ID, "value": 1}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 10_000, "Invalid JSON"),
        ([], "should be an object"),
        ("scores", "should be an object"),
        ({"scores": []}, "scores: List should have at least 1 item"),
        ({"scores": [GOOD] * 1001}, "at most 1000 items"),
        ({"scores": [GOOD, {}]}, "scores.1: Value error, trace_id or session_id"),
        ({"value": 1}, "trace_id or session_id must say"),
        ({"trace_id": TRACE_ID}, "one of value, label, comment and correction"),
        ({**GOOD, "trace_id": "xyz"}, "trace_id: String should match"),
        ({**GOOD, "span_id": "12"}, "span_id: String should match"),
        ({**GOOD, "value": 1.01}, "value: Input should be less than or equal to 1"),
        ({**GOOD, "value": -1}, "value: Input should be greater than or equal to 0"),
        (b'{"session_id": "s", "value": NaN}', "value"),
        ({**GOOD, "name": ""}, "name: String should have at least 1 character"),
        ({**GOOD, "comment": "x" * 8193}, "comment: String should have at most 8192"),
        ({**GOOD, "source": "robot"}, "source: Input should be 'user'"),
        ({**GOOD, "project": "theirs"}, "project: Extra inputs are not permitted"),
        ({**GOOD, "created_at": "yesterday"}, "created_at: Input should be a valid datetime"),
        ({**GOOD, "created_at": "0001-01-01T00:00:00Z"}, "created_at must lie between"),
        ({**GOOD, "created_at": "9999-01-01T00:00:00"}, "created_at must lie between"),
        (b'{"session_id": "\\ud800", "value": 1}', "Invalid JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_not_valid_is_400_and_stores_nothing(server: ServerProcess, body: object, says: str) -> None:
    answer = post(server, server.key("invalid-feedback"), body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert scores(server, "invalid-feedback") == []


def test_an_error_quotes_no_value(server: ServerProcess) -> None:
    answer = post(
        server, server.key("quotes"), {"trace_id": "my secret", "value": "my secret", "x": "secret"}
    )
    assert answer.status_code == 400
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("gnm_i_" + "0" * 30, 401)], ids=["no key", "unknown key"]
)
def test_no_good_key(server: ServerProcess, key: str, status: int) -> None:
    answer = server.http.post(
        f"{server.url}/v1/feedback", json=GOOD, headers={"authorization": f"Bearer {key}x"}
    )
    assert (answer.status_code, answer.headers["www-authenticate"]) == (status, "Bearer")
    assert "API key" in answer.json()["detail"]


def test_a_read_key_may_not_judge(server: ServerProcess) -> None:
    assert post(server, server.key("read-only", "read"), GOOD).status_code == 403


def test_too_large_and_wrong_type(server: ServerProcess) -> None:
    key = server.key("limits")
    assert post(server, key, b" " * (1024**2 + 1)).status_code == 413
    assert post(server, key, gzip.compress(bytes(2**21)), content_encoding="gzip").status_code == 413
    assert post(server, key, GOOD, content_type="text/plain").status_code == 415


def test_a_correction_is_a_score_of_its_own(server: ServerProcess) -> None:
    key = server.key("corrected")
    sent = {"score_id": "mine", "trace_id": TRACE_ID, "value": 0, "correction": "Tomorrow."}
    for _ in range(2):
        assert post(server, key, sent).json() == {"score_ids": ["mine"]}
    post(server, key, {"score_id": "alone", "trace_id": TRACE_ID, "correction": "Завтра."})
    found = [
        (score["score_id"], score["name"], score["value"], score["comment"])
        for score in scores(server, "corrected")
    ]
    assert found == [
        ("alone", "correction", None, "Завтра."),
        ("mine", "user_feedback", 0, ""),
        ("mine:correction", "correction", None, "Tomorrow."),
    ]
