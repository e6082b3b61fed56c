"""The judge's endpoint: any that speaks OpenAI's chat completions, asked with the openai client."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import openai
from openai.types.chat import ChatCompletion

from gnomon_collector.quality.costs import MAX_ANSWER_TOKENS

_WORD: Final = re.compile(r"[\w.-]{1,60}")

Trouble = Literal["unavailable", "hopeless", "refused"]


class JudgeCallError(Exception):
    """A call of the judge brought no answer.

    Attributes:
        trouble: ``unavailable`` may pass by itself; ``hopeless`` will not, until somebody changes a setting;
            ``refused`` is about this one request
        retry_after_s: what the endpoint asked to wait, 0 when it did not say
    """

    def __init__(self, message: str, trouble: Trouble, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, with what it took. Tokens are 0 where the endpoint does not report them."""

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

    @property
    def duration_ms(self) -> float:
        return (self.ended_ns - self.started_ns) / 1e6


class JudgeClient:
    """Asks a model, at temperature 0. Retries are the queue's business: each is an attempt that costs.

    Endpoints differ in what they take. One that refuses a parameter by name is asked without it from then on;
    the verdict is checked against its schema in any case.
    """

    def __init__(self, base_url: str, api_key: str, model: str, timeout_s: float) -> None:
        self.model = model
        # A line for each call would bury what the server has to say.
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0
        )
        self._left_out: set[str] = set()

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
        for _ in range(len(wanted) + 1):
            parameters = self._accepted(wanted)
            started_ns = time.time_ns()
            try:
                # `chat.completions.create` walks through the whole body first, which has nothing to be mended
                completion = await self._client.post(
                    "/chat/completions",
                    cast_to=ChatCompletion,
                    body={"model": model or self.model, "messages": list(messages), **parameters},
                )
            except openai.BadRequestError as error:
                named = _refused_parameter(error, parameters)
                if not named:
                    raise JudgeCallError(_said(error), "refused") from error
                self._left_out.add(named)
            except openai.OpenAIError as error:
                raise _trouble(error) from error
            else:
                return _answer(completion, started_ns)
        raise JudgeCallError("the endpoint refuses every form of the request", "hopeless")

    def _accepted(self, wanted: dict[str, Any]) -> dict[str, Any]:
        parameters = {name: value for name, value in wanted.items() if name not in self._left_out}
        if "max_completion_tokens" in self._left_out and "max_tokens" not in self._left_out:
            parameters["max_tokens"] = wanted["max_completion_tokens"]
        return parameters

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _refused_parameter(error: openai.BadRequestError, parameters: dict[str, Any]) -> str:
    """The parameter that a 400 complains about, "" when it is about something else."""
    said = f"{error.param or ''} {error.message}".lower()
    words = {"response_format": ("response_format", "json_schema"), "temperature": ("temperature",)}
    return next((name for name in parameters if any(word in said for word in words.get(name, (name,)))), "")


def _trouble(error: openai.OpenAIError) -> JudgeCallError:
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError | openai.NotFoundError):
        return JudgeCallError(_said(error), "hopeless")
    if isinstance(error, openai.APIStatusError):
        passing = isinstance(error, openai.RateLimitError) or error.status_code >= 500
        return JudgeCallError(_said(error), "unavailable" if passing else "refused", _retry_after_s(error))
    return JudgeCallError(type(error).__name__, "unavailable")


def _said(error: openai.APIStatusError) -> str:
    """The endpoint's own word for the error. Not its message, which may repeat a prompt or a key."""
    word = str(error.code or error.type or "")
    return f"HTTP {error.status_code} {word if _WORD.fullmatch(word) else ''}".strip()


def _retry_after_s(error: openai.APIStatusError) -> float:
    try:
        return min(300.0, max(0.0, float(error.response.headers.get("retry-after", "0"))))
    except ValueError:
        return 0.0


def _answer(completion: ChatCompletion, started_ns: int) -> Answer:
    choice = completion.choices[0] if completion.choices else None
    usage = completion.usage
    details = usage.prompt_tokens_details if usage else None
    if choice is None:
        raise JudgeCallError("the endpoint answered without a choice", "refused")
    if choice.message.refusal:
        raise JudgeCallError("the judge refused to answer", "refused")
    return Answer(
        text=choice.message.content or "",
        model=completion.model or "",
        response_id=completion.id or "",
        finish_reason=choice.finish_reason or "",
        input_tokens=usage.prompt_tokens if usage else 0,
        output_tokens=usage.completion_tokens if usage else 0,
        cache_read_tokens=(details.cached_tokens or 0) if details else 0,
        fingerprint=completion.system_fingerprint or "",
        started_ns=started_ns,
        ended_ns=time.time_ns(),
    )
