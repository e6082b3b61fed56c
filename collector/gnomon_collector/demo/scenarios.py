"""What the simulated shop assistant did for one message, told in spans; the history is made of these.

`service.py` does the same things for real. Names of steps are equal, so that charts show one service.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from gnomon_collector.demo.completions import Completion
from gnomon_collector.demo.conversation import answer_to, topic_of
from gnomon_collector.demo.faults import Fault
from gnomon_collector.demo.phrases import TOPICS
from gnomon_collector.demo.recorder import Recorder, SimulatedError
from gnomon_collector.demo.shop import (
    DOCUMENTS,
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


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a customer, and what the assistant answers it with."""

    question: str
    model: str
    prompt_version: str


Scenario = Callable[[Recorder, Turn], str]


def answer_question(recorder: Recorder, turn: Turn) -> str:
    """Answer from the cache of like questions, else from the shop's pages on the question."""
    with recorder.step("answer_question", "workflow", turn.question) as root:
        recorder.embed(EMBEDDING_MODEL, [turn.question])
        answer = _cached_answer(recorder, turn)
        if answer is None:
            answer = _ask(recorder, turn, _messages(turn, _find_pages(recorder, turn))).text
        root.attributes[names.OUTPUT] = answer
    return answer


def stream_reply(recorder: Recorder, turn: Turn) -> str:
    """Answer at once, streaming, without looking anything up."""
    with recorder.step("stream_reply", "workflow", turn.question) as root:
        answer = _call(recorder, turn, _messages(turn), stream=True).text
        root.attributes[names.OUTPUT] = answer
    return answer


def track_order(recorder: Recorder, turn: Turn) -> str:
    """Let the model call the order tool, then word its result."""
    with recorder.step("track_order", "agent", turn.question) as root:
        messages = _messages(turn)
        call = _ask(recorder, turn, messages, tools=[ORDER_TOOL]).tool_call
        if call is None:
            raise AssertionError("a request with a tool and a user's message last gets a tool call")
        with recorder.step("get_order_status", "tool", json.loads(call.arguments)) as tool:
            recorder.spend(recorder.rng.uniform(0.01, 0.12))
            result = order_status(json.loads(call.arguments)["order"], recorder.rng)
            tool.attributes[names.OUTPUT] = json.dumps(result)
        messages += [
            {"role": "assistant", "tool_calls": [call.body()]},
            {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)},
        ]
        answer = _ask(recorder, turn, messages, tools=[ORDER_TOOL]).text
        root.attributes[names.OUTPUT] = answer
    return answer


def settle_dispute(recorder: Recorder, turn: Turn) -> str:
    """Think longer, with a reasoning model."""
    with recorder.step("settle_dispute", "workflow", turn.question) as root:
        answer = _call(recorder, replace(turn, model=REASONING_MODEL), _messages(turn)).text
        root.attributes[names.OUTPUT] = answer
    return answer


def index_pages(recorder: Recorder) -> None:
    """Embed the shop's pages anew, in batches: the nightly job."""
    with recorder.step("index_pages", "workflow"):
        for begin in range(0, len(DOCUMENTS), 4):
            recorder.embed(EMBEDDING_MODEL, [document.text for document in DOCUMENTS[begin : begin + 4]])


SCENARIOS: Final[dict[Scenario, float]] = {
    answer_question: 0.56,
    stream_reply: 0.26,
    track_order: 0.13,
    settle_dispute: 0.05,
}


def _cached_answer(recorder: Recorder, turn: Turn) -> str | None:
    rng = recorder.rng
    with recorder.step("answer_cache", "cache") as lookup:
        recorder.spend(rng.uniform(0.0005, 0.002))
        status = rng.choices(("miss", "hit", "semantic_hit"), weights=(86, 8, 6))[0]
        lookup.attributes[names.CACHE_STATUS] = status
        if status == "semantic_hit":
            lookup.attributes[names.CACHE_SIMILARITY] = round(rng.uniform(0.9, 0.99), 4)
    return None if status == "miss" else answer_to(turn.question, "", rng)


def _find_pages(recorder: Recorder, turn: Turn) -> tuple[Document, ...]:
    with recorder.step("find_pages", "retrieval") as retrieval:
        recorder.spend(recorder.rng.uniform(0.002, 0.012))
        found = _similar_pages(recorder, turn.question)
        retrieval.attributes |= {
            names.RETRIEVAL_QUERY: turn.question,
            names.RETRIEVAL_DOCUMENTS: documents_attribute(found),
        }
    return tuple(document for document, _ in found)


def _similar_pages(recorder: Recorder, question: str) -> list[tuple[Document, float]]:
    topic = topic_of(question)
    others = [other for other in TOPICS if other.language == topic.language and other is not topic]
    score = recorder.rng.uniform(0.15, 0.45)
    found = []
    for chosen in (topic, *recorder.rng.sample(others, RETRIEVED_DOCUMENTS - 1)):
        found.append((Document.on(chosen), score))
        score *= recorder.rng.uniform(0.4, 0.8)
    return found


def _messages(turn: Turn, documents: tuple[Document, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": system_prompt(turn.prompt_version, documents)},
        {"role": "user", "content": turn.question},
    ]


def _call(recorder: Recorder, turn: Turn, messages: list[dict[str, Any]], **more: Any) -> Completion:
    prompt = {names.PROMPT_NAME: PROMPT_NAME, names.PROMPT_VERSION: turn.prompt_version}
    body = {"model": turn.model, "messages": messages, "temperature": TEMPERATURE, **more}
    with recorder.stamped(prompt):
        return recorder.chat(body)


def _ask(recorder: Recorder, turn: Turn, messages: list[dict[str, Any]], **more: Any) -> Completion:
    """Ask the model; try once more after an error, and then once the fallback model."""
    try:
        return _call(recorder, turn, messages, **more)
    except SimulatedError as error:
        _give_up_if_hopeless(error)
        recorder.spend(0.4)
    try:
        with recorder.step("try_again", "step") as step:
            step.attributes[names.ATTEMPT] = 2
            return _call(recorder, turn, messages, **more)
    except SimulatedError as error:
        _give_up_if_hopeless(error)
        reason = error.error_type
    with recorder.step("fall_back", "step") as step:
        step.attributes |= {names.FALLBACK_OF: turn.model, names.FALLBACK_REASON: reason}
        return _call(recorder, replace(turn, model=FALLBACK_MODEL), messages, **more)


def _give_up_if_hopeless(error: SimulatedError) -> None:
    if error.fault is Fault.CONTEXT_LENGTH:
        raise error
