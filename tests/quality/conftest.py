"""A judge on loopback that counts its calls, and traffic to be judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.dashboard import seed
from tests.dashboard.conftest import served

from gnomon_collector.quality.setup import JudgeSetup, load_setup
from gnomon_collector.settings import load_settings
from gnomon_collector.store.engine import Store

Reply = Callable[[dict[str, Any], int], Response]
MODEL = "gpt-4o-mini"


def completion(text: str, model: str = MODEL, **usage: int) -> JSONResponse:
    """An answer in OpenAI's form."""
    tokens = {"prompt_tokens": 500, "completion_tokens": 40, "total_tokens": 540} | usage
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
    return JSONResponse(body | {"choices": [choice], "usage": tokens})


def first_label(body: dict[str, Any], _number: int) -> Response:
    """The first label of whatever scale is asked for."""
    form = body.get("response_format")
    if not form:
        return completion("Paris.")
    schema = form["json_schema"]["schema"]
    answer: dict[str, Any] = {"reasoning": "as asked", "label": schema["properties"]["label"]["enum"][0]}
    if "documents" in schema["properties"]:
        labels = schema["properties"]["documents"]["items"]["properties"]["label"]["enum"]
        shown = json.loads(body["messages"][1]["content"].split("begins\n")[1].split("\nGNOMON-DATA")[0])
        answer["documents"] = [
            {"number": one["number"], "reasoning": "", "label": labels[0]} for one in shown["documents"]
        ]
    return completion(json.dumps(answer))


def error(status: int, code: str, message: str = "", **headers: str) -> JSONResponse:
    """An error in OpenAI's form."""
    body = {"error": {"message": message or code, "type": code, "code": code, "param": None}}
    return JSONResponse(body, status_code=status, headers=headers)


@dataclass
class Judge:
    """The judge: what it was asked, and what decides its answers."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    reply: Reply = first_label

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.calls.append(body)
        return self.reply(body, len(self.calls))


@pytest.fixture
def judge() -> Iterator[Judge]:
    """A judge that takes the best label always, until told otherwise."""
    found = Judge()
    app = Starlette(routes=[Route("/v1/chat/completions", found.answer, methods=["POST"])])
    with served(app) as url:
        found.url = url
        yield found


def make_setup(judge_url: str, directory: Path, policy: str = "", **settings: object) -> JudgeSetup:
    """The setup of a process whose policy is a text."""
    (directory / "judge.toml").write_text(policy, encoding="utf-8")
    return load_setup(
        load_settings(
            data=directory,
            judge_base_url=f"{judge_url}/v1",
            judge_model=MODEL,
            judge_policy=str(directory / "judge.toml"),
            judge_concurrency=8,
            **settings,
        )
    )


def policy_text(rate: float = 1.0, evaluators: str = '"relevance"', more: str = "", usd: float = 5.0) -> str:
    """A policy for the project shop that looks back far enough for the seeds."""
    return f"""
[[policies]]
name = "all"
project = "shop"
evaluators = [{evaluators}]
rate = {rate}
lookback_hours = 9600
{more}
[[budgets]]
project = "shop"
usd_per_day = {usd}
"""


NOW = datetime.now(UTC).replace(microsecond=0)


def answered(number: int, **more: object) -> seed.Span:
    """A model call with an answer, in a trace of its own."""
    values: dict[str, Any] = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "start_time": NOW - timedelta(minutes=30) + timedelta(seconds=number),
        "duration_ns": 900_000_000,
        "name": "chat",
        "kind": "generation",
        "provider": "openai",
        "response_model": "gpt-4o-2024-08-06",
        "session_id": f"s{number}",
        "prompt_name": "answer",
        "prompt_version": "v1",
        "input_text": f"How do I return parcel {number}?",
        "output_text": "You have 30 days from delivery.",
        "received_at": NOW - timedelta(minutes=20),
    }
    return seed.Span(**(values | more))


def insert(store: Store, *spans: seed.Span) -> None:
    """Insert spans with their rollups."""
    seed.insert(store, list(spans))
