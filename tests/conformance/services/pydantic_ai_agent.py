"""pydantic-ai's own instrumentation, without and beside Logfire's of the client below it."""

import asyncio
from collections.abc import Callable
from typing import Any

import logfire
import openai
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_pydantic_ai()
    stage.flush = logfire.force_flush
    asyncio.run(play(stage))


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


async def play(stage: Stage) -> None:
    """Play them on one client."""
    client = openai.AsyncOpenAI(base_url=stage.url, api_key="sk-none", max_retries=0)

    def agent(model: str, system: str = SYSTEM, tools: tuple[Callable[[str], str], ...] = ()) -> Any:
        made = OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
        return Agent(made, instructions=system, tools=tools, name="shop_agent", retries=0)

    with stage.scene("chat"):
        await agent("gpt-5-mini").run(QUESTION)
    with stage.scene("chat_ru"):
        await agent("gpt-4o", SYSTEM_RU).run(QUESTION_RU)
    with stage.scene("chat_stream"):
        async with agent("gpt-4o-mini").run_stream(QUESTION) as answer:
            async for _ in answer.stream_text():
                pass
    with stage.scene("tools"):
        await agent("gpt-4.1-mini", tools=(get_order_status,)).run(ORDER)
    with stage.scene("error_500"):
        await agent("err-500").run(QUESTION)
    with stage.scene("chat_stream_error"):
        async with agent("err-midstream").run_stream(QUESTION) as answer:
            async for _ in answer.stream_text():
                pass
    logfire.instrument_openai(client)
    with stage.scene("both_chat"):
        await agent("gpt-5-mini").run(QUESTION)
    with stage.scene("both_tools"):
        await agent("gpt-4.1-mini", tools=(get_order_status,)).run(ORDER)
    with stage.scene("both_stream"):
        async with agent("gpt-4o-mini").run_stream(QUESTION) as answer:
            async for _ in answer.stream_text():
                pass
