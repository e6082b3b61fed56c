"""The judge's endpoint: any that speaks OpenAI's chat completions, asked with the openai client."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx  # noqa: F401  (openai looks at the module as soon as any thread has begun to import it: it must be whole)
import openai
from openai.types.chat import ChatCompletion

from gnomon_collector.quality.costs import MAX_ANSWER_TOKENS
from gnomon_collector.quality.endpoint_errors import JudgeCallError as JudgeCallError
from gnomon_collector.quality.endpoint_errors import refused_parameter, trouble_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, with what it took. Tokens are 0 where the endpoint does not report them.

    Attributes:
        text: the answer, or in which words the model refused to give one
        refused: whether it did
    """

    text: str
    model: str
    response_id: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    fingerprint: str
    started_ns: int
    ended_ns: int
    refused: bool = False

    @property
    def duration_ms(self) -> float:
        return (self.ended_ns - self.started_ns) / 1e6


class JudgeClient:
    """Asks a model, at temperature 0. Retries are the queue's business: each is an attempt that costs.

    Endpoints differ in what they take. A model for which one refuses a parameter by name is asked without it
    from then on; the verdict is checked against its schema in any case.
    """

    def __init__(self, base_url: str, api_key: str, model: str, timeout_s: float) -> None:
        self.model = model
        # A line for each call would bury what the server has to say.
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0
        )
        self._timeout_s = timeout_s
        self._left_out: dict[str, set[str]] = {}

    async def ask(
        self,
        messages: Sequence[dict[str, str]],
        *,
        schema: dict[str, Any] | None = None,
        schema_name: str = "answer",
        max_tokens: int = MAX_ANSWER_TOKENS,
        model: str = "",
    ) -> Answer:
        """Return the answer to `messages`, as JSON after `schema` where one is given.

        Raises:
            JudgeCallError: none came
        """
        wanted: dict[str, Any] = {"temperature": 0, "max_completion_tokens": max_tokens}
        if schema is not None:
            described = {"name": schema_name, "schema": schema, "strict": True}
            wanted["response_format"] = {"type": "json_schema", "json_schema": described}
        model = model or self.model
        for _ in range(len(wanted) + 1):
            parameters = self._accepted(model, wanted)
            started_ns = time.time_ns()
            try:
                # `chat.completions.create` walks through the whole body first, which has nothing to be mended
                completion = await self._client.post(
                    "/chat/completions",
                    cast_to=ChatCompletion,
                    body={"model": model, "messages": list(messages), **parameters},
                )
            except openai.OpenAIError as error:
                named = refused_parameter(error, parameters)
                if not named:
                    raise trouble_of(error, datetime.now(UTC), self._timeout_s) from error
                self._left_out.setdefault(model, set()).add(named)
            else:
                return _answer(completion, started_ns)
        raise JudgeCallError("the endpoint refuses every form of the request", "hopeless")

    def _accepted(self, model: str, wanted: dict[str, Any]) -> dict[str, Any]:
        left_out = self._left_out.get(model, set())
        parameters = {name: value for name, value in wanted.items() if name not in left_out}
        if "max_completion_tokens" in left_out and "max_tokens" not in left_out:
            parameters["max_tokens"] = wanted["max_completion_tokens"]
        return parameters

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _answer(completion: object, started_ns: int) -> Answer:
    if not isinstance(completion, ChatCompletion):
        # what is no JSON comes as text: a page of a proxy, or of the endpoint's own site
        raise JudgeCallError(
            "the answer is no JSON: GNOMON_JUDGE_BASE_URL is hardly the address of an API", "hopeless"
        )
    choice = completion.choices[0] if completion.choices else None
    usage = completion.usage
    details = usage.prompt_tokens_details if usage else None
    if choice is None or choice.message is None:
        raise JudgeCallError("the endpoint answered without a choice", "refused")
    return Answer(
        text=choice.message.content or choice.message.refusal or "",
        model=completion.model or "",
        response_id=completion.id or "",
        finish_reason=choice.finish_reason or "",
        input_tokens=usage.prompt_tokens or 0 if usage else 0,
        output_tokens=usage.completion_tokens or 0 if usage else 0,
        cache_read_tokens=(details.cached_tokens or 0) if details else 0,
        fingerprint=completion.system_fingerprint or "",
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        refused=bool(choice.message.refusal) and not choice.message.content,
    )
