"""The shop assistant at work: customers write to it all the time. `python -m gnomon_collector.demo.service`.

Runs in a process of its own, since `gnomon.init` concerns the whole process. Where its telemetry goes
it reads from GNOMON_ENDPOINT and GNOMON_API_KEY like any other service.
"""

import argparse
import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Final

import openai
from openai import AsyncOpenAI, OpenAI

import gnomon
from gnomon_collector.demo.assistant import AnswerCache, Assistant, Backend, Pages
from gnomon_collector.demo.children import stop_on_signal, when_parent_exits
from gnomon_collector.demo.conversation import draw_question, order_number
from gnomon_collector.demo.phrases import TOPICS
from gnomon_collector.demo.shop import (
    COMPLAINTS,
    LIKED_SHARE,
    PRAISE,
    RATED_SHARE,
    SERVICE_NAME,
    Visitor,
    draw_visitor,
)

RELEASE: Final = "2.4.0"
ENVIRONMENT: Final = "production"

_SCENARIOS: Final = {
    "answer_question": 0.54,
    "stream_reply": 0.27,
    "track_order": 0.13,
    "settle_dispute": 0.06,
}
_MODELS: Final = {"gpt-4.1-mini": 0.7, "gpt-4o-mini": 0.18, "gpt-4o": 0.12}
_PROMPT_VERSIONS: Final = {"v5": 0.85, "v4": 0.15}
_CLIENT_TIMEOUT_S: Final = 2.0
_WALKED_AWAY_SHARE: Final = 0.04
_ACTIVE_VISITORS: Final = 10
_BUSIEST: Final = 16
_WAVE_S: Final = 600.0
_DRAIN_S: Final = 3.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a customer and how it is to be handled."""

    visitor: Visitor
    scenario: str
    question: str
    rng: Random


class Crowd:
    """The customers who are writing right now."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0
        self._active: list[Visitor] = []

    def next_message(self) -> Message:
        """The next message, from somebody new or somebody in conversation."""
        self._count += 1
        rng = Random(f"{self._seed}/{self._count}")
        if len(self._active) < _ACTIVE_VISITORS or rng.random() < 0.4:
            self._active = [*self._active, draw_visitor(rng)][-_ACTIVE_VISITORS:]
        visitor = rng.choice(self._active)
        scenario = _draw(_SCENARIOS, rng)
        return Message(visitor, scenario, _question(scenario, visitor, rng), rng)


def run_service(
    stop: threading.Event, base_url: str, requests_per_second: float = 2.0, seed: int | None = None
) -> None:
    """Handle customers' messages until `stop` is set. Call `gnomon.init` first.

    Args:
        stop: set it to end; messages being handled get up to 3 s.
        base_url: the provider, such as `http://127.0.0.1:9000`, without `/v1`.
        requests_per_second: mean rate of messages; it swings by 40 % every ten minutes.
        seed: makes the messages repeatable; None draws one.

    Raises:
        openai.APIError: the provider cannot be reached, or keeps failing, at the start.
    """
    chosen_seed = Random().getrandbits(32) if seed is None else seed
    asyncio.run(_serve(stop, base_url.rstrip("/"), requests_per_second, chosen_seed))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the service's process; ends on SIGTERM, SIGINT or when its parent is gone."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s shop-assistant: %(message)s")
    stop = threading.Event()
    stop_on_signal(stop)
    if options.watch_parent:
        when_parent_exits(stop.set)
    gnomon.init(service_name=SERVICE_NAME, environment=ENVIRONMENT, release=RELEASE)
    try:
        run_service(stop, options.provider_url, options.requests_per_second, options.seed)
    finally:
        gnomon.shutdown()


async def _serve(stop: threading.Event, base_url: str, requests_per_second: float, seed: int) -> None:
    url = f"{base_url}/v1"
    with OpenAI(base_url=url, api_key="sk-demo", max_retries=0, timeout=_CLIENT_TIMEOUT_S) as client:
        async with AsyncOpenAI(base_url=url, api_key="sk-demo", timeout=_CLIENT_TIMEOUT_S) as async_client:
            pages = await asyncio.to_thread(_index_pages, client)
            backend = Backend(client, async_client, pages, AnswerCache())
            await _handle_messages(stop, backend, Crowd(seed), requests_per_second)


def _index_pages(client: OpenAI) -> Pages:
    # The client retries here: without its pages the assistant cannot start.
    return Pages.index(client.with_options(max_retries=5))


async def _handle_messages(
    stop: threading.Event, backend: Backend, crowd: Crowd, requests_per_second: float
) -> None:
    running: set[asyncio.Task[None]] = set()
    arrivals = Random()
    while True:
        pause_s = arrivals.expovariate(requests_per_second * _wave(time.time()))
        if await asyncio.to_thread(stop.wait, pause_s):
            break
        if len(running) < _BUSIEST:
            task = asyncio.create_task(_handle(backend, crowd.next_message()))
            running.add(task)
            task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running, timeout=_DRAIN_S)


async def _handle(backend: Backend, message: Message) -> None:
    rng, visitor = message.rng, message.visitor
    assistant = Assistant(backend, _draw(_MODELS, rng), _draw(_PROMPT_VERSIONS, rng))
    liked_share = LIKED_SHARE[assistant.prompt_version]
    with gnomon.session(user=visitor.user, company=visitor.company, session=visitor.session):
        kind = "agent" if message.scenario == "track_order" else "workflow"
        handled = gnomon.span(message.scenario, kind=kind)
        try:
            with handled as root:
                root.set_input(message.question)
                root.set_output(await _answer(assistant, message))
        except openai.OpenAIError as error:
            _logger.debug("no answer: %s", error)
            liked_share = 0.02
        _rate(handled.trace_id, visitor, liked_share, rng)


async def _answer(assistant: Assistant, message: Message) -> str:
    match message.scenario:
        case "answer_question":
            return await asyncio.to_thread(assistant.answer_question, message.question)
        case "track_order":
            return await asyncio.to_thread(assistant.track_order, message.question)
        case "settle_dispute":
            return await assistant.settle_dispute(message.question)
        case _:
            return await _read(assistant.stream_reply(message.question), message.rng)


async def _read(pieces: AsyncGenerator[str, None], rng: Random) -> str:
    """What the customer reads of a streamed answer; some leave before its end."""
    patience = rng.randint(2, 6) if rng.random() < _WALKED_AWAY_SHARE else math.inf
    read: list[str] = []
    async with aclosing(pieces) as open_pieces:
        async for piece in open_pieces:
            read.append(piece)
            if len(read) >= patience:
                break
    return "".join(read)


def _rate(trace_id: str | None, visitor: Visitor, liked_share: float, rng: Random) -> None:
    if rng.random() < RATED_SHARE:
        liked = rng.random() < liked_share
        gnomon.feedback(
            liked,
            label="thumbs_up" if liked else "thumbs_down",
            comment=rng.choice(PRAISE if liked else COMPLAINTS) or None,
            trace_id=trace_id,
            session_id=visitor.session,
            author=visitor.user,
        )


def _question(scenario: str, visitor: Visitor, rng: Random) -> str:
    topics = [topic for topic in TOPICS if topic.language == visitor.language]
    if scenario == "track_order" and visitor.language == "en":
        return f"Where is my order {order_number(rng)}?"
    return draw_question(rng, rng.choice(topics))


def _draw(weights: dict[str, float], rng: Random) -> str:
    return rng.choices(tuple(weights), weights=tuple(weights.values()))[0]


def _wave(now_s: float) -> float:
    return 1 + 0.4 * math.sin(now_s / _WAVE_S * math.tau)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gnomon_collector.demo.service", description=__doc__)
    parser.add_argument("--provider-url", required=True, help="such as http://127.0.0.1:9000")
    parser.add_argument("--requests-per-second", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--watch-parent", action="store_true", help="end when standard input closes")
    return parser


if __name__ == "__main__":
    main()
