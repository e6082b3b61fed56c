"""The shop assistant: a small LLM service as anybody might write one, on the real OpenAI client.

All that makes it visible is `gnomon.init` in `service.py`, and the few words said to `gnomon` here.
"""

import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessage

import gnomon
from gnomon_collector.demo.conversation import language_of
from gnomon_collector.demo.embeddings import cosine
from gnomon_collector.demo.shop import (
    DOCUMENTS,
    EMBEDDING_DIMENSIONS,
    EMBEDDING_MODEL,
    FALLBACK_MODEL,
    ORDER_TOOL,
    PROMPT_NAME,
    REASONING_MODEL,
    RETRIEVED_DOCUMENTS,
    TEMPERATURE,
    Document,
    documents_attribute,
    order_status,
    system_prompt,
)
from gnomon_schemas import attributes as names

Vector = Sequence[float]

_RETRY_PAUSE_S: Final = 0.3
_CACHED_ANSWERS: Final = 32
_SAME: Final = 0.9999
_ALIKE: Final = 0.94
_RETRYABLE: Final = (
    openai.RateLimitError,
    openai.InternalServerError,
    openai.APIConnectionError,
)


class AnswerCache:
    """The last answers, found again by questions that mean the same."""

    def __init__(self) -> None:
        self._answers: deque[tuple[Vector, str]] = deque(maxlen=_CACHED_ANSWERS)

    def look_up(self, question: Vector) -> tuple[str, float]:
        """The answer to the most similar question and that similarity; an empty answer and 0 without any."""
        # A copy: other threads may keep answers meanwhile.
        found = ((answer, cosine(question, asked)) for asked, answer in tuple(self._answers))
        return max(found, key=lambda pair: pair[1], default=("", 0.0))

    def keep(self, question: Vector, answer: str) -> None:
        """Remember an answer, forgetting the oldest."""
        self._answers.append((question, answer))


@dataclass(frozen=True, slots=True)
class Pages:
    """The shop's pages with their embeddings."""

    indexed: tuple[tuple[Document, Vector], ...]

    @classmethod
    def index(cls, client: OpenAI) -> "Pages":
        """Embed every page; raises `openai.APIError`."""
        with gnomon.span("index_pages", kind="workflow"):
            # Keywords count more than prose: customers use them, the pages' sentences hardly do.
            texts = [" ".join(document.keywords * 4) + document.text for document in DOCUMENTS]
            return cls(tuple(zip(DOCUMENTS, embed(client, texts), strict=True)))

    def most_similar(self, question: Vector, language: str) -> list[tuple[Document, float]]:
        """The pages in `language` nearest to `question`, best first, with their similarities."""
        pages = ((document, vector) for document, vector in self.indexed if document.language == language)
        scored = [(document, cosine(question, vector)) for document, vector in pages]
        return sorted(scored, key=lambda pair: pair[1], reverse=True)[:RETRIEVED_DOCUMENTS]


@dataclass(frozen=True, slots=True)
class Backend:
    """What all assistants share."""

    client: OpenAI
    async_client: AsyncOpenAI
    pages: Pages
    cache: AnswerCache


@dataclass(frozen=True, slots=True)
class Assistant:
    """Answers a customer's message with a given model and prompt version."""

    backend: Backend
    model: str
    prompt_version: str

    def answer_question(self, question: str) -> str:
        """Answer from the cache of like questions, else from the shop's pages on the question."""
        vector = embed(self.backend.client, [question])[0]
        answer = self._cached_answer(vector)
        if answer is None:
            documents = self._find_pages(question, vector)
            answer = self._ask(self._messages(question, documents)).content or ""
            self.backend.cache.keep(vector, answer)
        return answer

    def track_order(self, question: str) -> str:
        """Let the model call the order tool, then word its result."""
        messages = self._messages(question)
        asked = self._ask(messages, tools=[ORDER_TOOL])
        messages.append(asked.model_dump(exclude_none=True))
        for call in asked.tool_calls or ():
            if call.type == "function":
                result = get_order_status(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
        return self._ask(messages, tools=[ORDER_TOOL]).content or ""

    async def stream_reply(self, question: str) -> AsyncGenerator[str, None]:
        """Answer at once, word by word, without looking anything up."""
        with self._prompt():
            stream = await self.backend.async_client.chat.completions.create(
                model=self.model,
                messages=self._messages(question),
                temperature=TEMPERATURE,
                stream=True,
                stream_options={"include_usage": True},
            )
        async with stream:
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    async def settle_dispute(self, question: str) -> str:
        """Think longer, with a reasoning model."""
        with self._prompt():
            answer = await self.backend.async_client.chat.completions.create(
                model=REASONING_MODEL, messages=self._messages(question)
            )
        return answer.choices[0].message.content or ""

    def _prompt(self) -> Any:
        return gnomon.session(prompt=(PROMPT_NAME, self.prompt_version))

    def _cached_answer(self, question: Vector) -> str | None:
        with gnomon.span("answer_cache", kind="cache") as lookup:
            answer, similarity = self.backend.cache.look_up(question)
            if similarity < _ALIKE:
                lookup.set_attribute(names.CACHE_STATUS, "miss")
                return None
            lookup.set_attribute(names.CACHE_STATUS, "hit" if similarity >= _SAME else "semantic_hit")
            lookup.set_attribute(names.CACHE_SIMILARITY, round(similarity, 4))
            return answer

    def _find_pages(self, question: str, vector: Vector) -> tuple[Document, ...]:
        with gnomon.span("find_pages", kind="retrieval") as retrieval:
            found = self.backend.pages.most_similar(vector, language_of(question))
            retrieval.set_attribute(names.RETRIEVAL_QUERY, question)
            retrieval.set_attribute(names.RETRIEVAL_DOCUMENTS, documents_attribute(found))
        return tuple(document for document, _ in found)

    def _messages(self, question: str, documents: tuple[Document, ...] = ()) -> list[Any]:
        return [
            {"role": "system", "content": system_prompt(self.prompt_version, documents)},
            {"role": "user", "content": question},
        ]

    def _call(self, model: str, messages: list[Any], **more: Any) -> ChatCompletionMessage:
        with self._prompt():
            answer: ChatCompletion = self.backend.client.chat.completions.create(
                model=model, messages=messages, temperature=TEMPERATURE, **more
            )
        return answer.choices[0].message

    def _ask(self, messages: list[Any], **more: Any) -> ChatCompletionMessage:
        """Ask the model; try once more after an error, and then once the fallback model."""
        try:
            return self._call(self.model, messages, **more)
        except _RETRYABLE:
            time.sleep(_RETRY_PAUSE_S)
        try:
            with gnomon.span("try_again", attributes={names.ATTEMPT: 2}):
                return self._call(self.model, messages, **more)
        except _RETRYABLE as error:
            reason = f"openai.{type(error).__name__}"
        fallback = {names.FALLBACK_OF: self.model, names.FALLBACK_REASON: reason}
        with gnomon.span("fall_back", attributes=fallback):
            return self._call(FALLBACK_MODEL, messages, **more)


def embed(client: OpenAI, texts: list[str]) -> list[Vector]:
    """The embeddings of `texts`; raises `openai.APIError`."""
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, dimensions=EMBEDDING_DIMENSIONS)
    return [item.embedding for item in answer.data]


@gnomon.observe(kind="tool")
def get_order_status(order: str) -> dict[str, str]:
    """Ask the order system, which always says the same about one order."""
    return order_status(order, Random(order))
