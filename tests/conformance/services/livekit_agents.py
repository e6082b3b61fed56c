"""LiveKit Agents' own spans of a session by text."""

import asyncio

from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.telemetry import set_tracer_provider
from livekit.plugins import openai
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


@function_tool
async def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    set_tracer_provider(provider)
    stage.flush = provider.force_flush
    asyncio.run(play(stage))


async def play(stage: Stage) -> None:
    """Play them, a session each."""

    async def ask(model: str, question: str, system: str = SYSTEM, tools: tuple[object, ...] = ()) -> None:
        llm = openai.LLM(model=model, base_url=stage.url, api_key="sk-none", max_retries=0)
        async with llm, AgentSession(llm=llm) as session:
            await session.start(Agent(instructions=system, tools=list(tools)))
            await session.run(user_input=question)

    with stage.scene("chat"):
        await ask("gpt-5-mini", QUESTION)
    with stage.scene("chat_ru"):
        await ask("gpt-4o", QUESTION_RU, SYSTEM_RU)
    with stage.scene("tools"):
        await ask("gpt-4.1-mini", ORDER, tools=(get_order_status,))
