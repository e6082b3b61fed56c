"""Endpoints as they are: what they refuse, cut off and ask for, and the words in which it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response
from tests.cli.conftest import run_gnomon
from tests.quality.conftest import Judge, completion, error, first_label, make_setup

from gnomon_collector.errors import GnomonError
from gnomon_collector.quality import golden_run
from gnomon_collector.quality.client import Answer, JudgeCallError, JudgeClient
from gnomon_collector.quality.endpoint_errors import retry_after_s
from gnomon_collector.quality.evaluators import built_in
from gnomon_collector.quality.golden_run import run_golden
from gnomon_collector.quality.verdicts import MalformedVerdictError, verdict_of
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import JUDGE_PROJECT

QUESTION = [{"role": "user", "content": "Is it good?"}]
SCHEMA = {"type": "object"}
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
RIGHT = '{"reasoning": "r", "label": "relevant"}'


async def asked(judge: Judge, reply: Response | None = None) -> Answer:
    if reply is not None:
        judge.reply = lambda body, number: reply
    client = JudgeClient(f"{judge.url}/v1", "sk-canary", "a-model", 5.0)
    try:
        return await client.ask(QUESTION, schema=SCHEMA)
    finally:
        await client.close()


def changed(response: JSONResponse, **message: object) -> JSONResponse:
    """An answer in OpenAI's form with another message or reason to end."""
    body = json.loads(response.body)
    choice = body["choices"][0]
    choice["finish_reason"] = message.pop("finish_reason", "stop")
    choice["message"] |= message
    return JSONResponse(body)


@pytest.mark.parametrize(
    ("reply", "trouble", "words"),
    [
        (error(401, "invalid_api_key", "Incorrect key: sk-canary"), "hopeless", "HTTP 401 invalid_api_key: the endpoint does not take the key"),
        (error(403, "permission_denied"), "hopeless", "the key may not use this model"),
        (error(404, "model_not_found"), "hopeless", "HTTP 404 model_not_found: no such model"),
        (error(429, "insufficient_quota"), "hopeless", "the account has no credit left"),
        (error(429, "rate_limit_exceeded"), "unavailable", "more calls than the endpoint allows"),
        (error(500, "server_error"), "unavailable", "HTTP 500 server_error: the endpoint is in trouble"),
        (error(400, "context_length_exceeded", "maximum context length is 8192, max_completion_tokens 800"), "refused", "longer than the model's context"),
        (error(400, "content_policy_violation", "sk-canary said a bad word"), "refused", "HTTP 400 content_policy_violation"),
        (HTMLResponse("<html>Welcome</html>"), "hopeless", "GNOMON_JUDGE_BASE_URL is hardly the address of an API"),
        (JSONResponse({"error": {"message": "sk-canary"}}), "refused", "without a choice"),
    ],
)  # fmt: skip
async def test_what_an_endpoint_says_is_told_clearly(
    judge: Judge, reply: Response, trouble: str, words: str
) -> None:
    with pytest.raises(JudgeCallError) as caught:
        await asked(judge, reply)
    assert caught.value.trouble == trouble and words in str(caught.value)
    assert "sk-canary" not in str(caught.value), "neither keys nor prompts are repeated"


async def test_nobody_there_and_no_answer_in_time(judge: Judge) -> None:
    client = JudgeClient("http://127.0.0.1:1/v1", "k", "m", 5.0)
    with pytest.raises(JudgeCallError, match="no connection to the endpoint") as caught:
        await client.ask(QUESTION)
    assert caught.value.trouble == "unavailable"
    await client.close()


REFUSALS = {
    "OpenAI's o-series": error(400, "unsupported_value", "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."),
    "vLLM": JSONResponse({"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'temperature')}]", "type": "BadRequestError", "param": None, "code": 400}, 400),
    "a server on FastAPI": JSONResponse({"detail": [{"loc": ["body", "temperature"], "msg": "extra fields not permitted"}]}, 422),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSALS))
async def test_a_parameter_that_is_refused_is_left_out_for_that_model(judge: Judge, name: str) -> None:
    refusal = REFUSALS[name]
    judge.reply = lambda body, number: refusal if "temperature" in body else completion(RIGHT)
    client = JudgeClient(f"{judge.url}/v1", "k", "o4-mini", 5.0)
    for _ in range(2):
        assert (await client.ask(QUESTION, schema=SCHEMA)).text == RIGHT
    assert ["temperature" in body for body in judge.calls] == [True, False, False]
    assert all("response_format" in body for body in judge.calls)
    judge.reply = lambda body, number: completion(RIGHT)
    await client.ask(QUESTION, model="gpt-4o")
    assert judge.calls[-1]["temperature"] == 0, "another model is asked with it"
    await client.close()


async def test_a_server_without_schemas_is_asked_without_them(judge: Judge) -> None:
    message = "Invalid 'response_format.type': 'json_schema' is not one of ['text', 'json_object']"
    judge.reply = lambda body, number: (
        error(400, "invalid_request_error", message) if "response_format" in body else completion(RIGHT)
    )
    assert (await asked(judge)).text == RIGHT


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (changed(completion(""), content=None, refusal="I cannot."), "the judge refused to answer"),
        (changed(completion('{"reasoning": "It is go'), finish_reason="length"), "cut off after 40 tokens: GNOMON_JUDGE_ANSWER_TOKENS"),
        (changed(completion(""), content=None, finish_reason="content_filter"), "a content filter of the endpoint"),
        (completion("Well, I think it is fine."), "is no JSON"),
    ],
)  # fmt: skip
async def test_answers_without_a_verdict_say_why_and_still_cost(
    judge: Judge, reply: Response, words: str
) -> None:
    answer = await asked(judge, reply)
    assert answer.input_tokens == 500
    with pytest.raises(MalformedVerdictError, match=words):
        verdict_of(built_in()["relevance"], answer)


def test_how_long_to_wait_is_read_in_every_form() -> None:
    date = format_datetime(NOW + timedelta(seconds=20), usegmt=True)
    for headers, seconds in (
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": date}, 20.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "86400"}, 300.0),
        ({}, 0.0),
    ):
        assert retry_after_s(headers, NOW) == seconds, headers


async def test_golden_sets_wait_for_a_busy_endpoint(store: Store, judge: Judge, tmp_path: Path) -> None:
    def busy_at_first(body: dict[str, Any], number: int) -> Response:
        if number <= 10:
            return error(429, "rate_limit_exceeded", **{"Retry-After": "0.01"})
        return first_label(body, number)

    judge.reply = busy_at_first
    setup = make_setup(judge.url, tmp_path)
    found = await run_golden(setup, store, ["relevance"], with_injections=False, now=datetime.now(UTC))
    assert found["failures"] == [] and found["results"][0]["failed"] == 0


async def test_golden_sets_say_why_there_is_no_verdict(store: Store, judge: Judge, tmp_path: Path) -> None:
    judge.reply = lambda body, number: changed(completion(""), content=None, refusal="No.")
    setup = make_setup(judge.url, tmp_path)
    found = await run_golden(setup, store, ["relevance"], with_injections=False, now=datetime.now(UTC))
    (why,) = found["failures"]
    assert (why["reason"], why["calls"]) == ("the judge refused to answer", len(judge.calls))
    spent = judge_queue.spent(store, JUDGE_PROJECT, datetime.now(UTC).date())
    assert spent.usd == pytest.approx(found["cost_usd"]) and found["cost_usd"] > 0, "a refusal is paid, too"


async def test_golden_sets_stop_where_nobody_answers(
    store: Store, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden_run, "_FIRST_WAIT_S", 0.001)
    judge.reply = lambda body, number: error(503, "overloaded")
    setup = make_setup(judge.url, tmp_path)
    with pytest.raises(GnomonError, match="cannot be asked: HTTP 503 overloaded"):
        await run_golden(setup, store, ["relevance"], with_injections=False, now=datetime.now(UTC))


def test_the_documented_command_against_a_wrong_key(data_dir: Path, judge: Judge) -> None:
    judge.reply = lambda body, number: error(401, "invalid_api_key")
    env = {"OPENAI_API_KEY": "sk-wrong", "OPENAI_BASE_URL": f"{judge.url}/v1"}
    done = run_gnomon(
        *("judge", "golden", "--model", "gpt-4.1-mini", "--fail-under", "0.8", "--data", str(data_dir)),
        env=env,
    )
    assert done.returncode == 1 and "the endpoint does not take the key" in done.stderr
    assert "sk-wrong" not in done.stdout + done.stderr


def test_httpx_is_whole_before_a_client_is_made() -> None:
    """openai asks for `httpx.URL` once any thread has begun to import httpx: half of a module has none."""
    code = "import gnomon_collector.quality.client, sys; print(hasattr(sys.modules.get('httpx'), 'URL'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
