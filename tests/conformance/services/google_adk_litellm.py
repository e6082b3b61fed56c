"""Google's Agent Development Kit, its models behind LiteLLM."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from stage import (
    ORDER,
    QUESTION,
    QUESTION_RU,
    SESSION,
    SYSTEM,
    SYSTEM_RU,
    USER,
    Stage,
    flush_of,
    otel_logs,
    otel_provider,
)


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    stage.flush = flush_of(provider, otel_logs())
    asyncio.run(play(stage))


async def play(stage: Stage) -> None:
    """Play them, each in a session of its own."""

    async def ask(model: str, question: str, system: str = SYSTEM, **settings: object) -> None:
        made = LiteLlm(model=f"openai/{model}", api_base=stage.url, api_key="sk-none", num_retries=0)
        agent = LlmAgent(name="shop_agent", model=made, instruction=system, **settings)  # type: ignore[arg-type]
        runner = InMemoryRunner(agent=agent, app_name="shop")
        await runner.session_service.create_session(app_name="shop", user_id=USER, session_id=SESSION)
        message = types.Content(role="user", parts=[types.Part(text=question)])
        async for _ in runner.run_async(user_id=USER, session_id=SESSION, new_message=message):
            pass

    with stage.scene("chat"):
        await ask("gpt-5-mini", QUESTION)
    with stage.scene("chat_ru"):
        await ask("gpt-4o", QUESTION_RU, SYSTEM_RU)
    with stage.scene("tools"):
        await ask("gpt-4.1-mini", ORDER, tools=[get_order_status])
    with stage.scene("error_500"):
        await ask("err-500", QUESTION)
