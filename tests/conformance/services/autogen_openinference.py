"""AutoGen's own spans, beside OpenInference's of the OpenAI client."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openinference.instrumentation.openai import OpenAIInstrumentor
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush
    asyncio.run(play(stage))


async def play(stage: Stage) -> None:
    """Play them."""

    def agent(model: str, system: str = SYSTEM, **settings: object) -> AssistantAgent:
        info = {
            "vision": False,
            "function_calling": True,
            "json_output": True,
            "family": "unknown",
            "structured_output": True,
        }
        client = OpenAIChatCompletionClient(
            model=model, base_url=stage.url, api_key="sk-none", max_retries=0, model_info=info
        )
        return AssistantAgent("shop_agent", client, system_message=system, **settings)  # type: ignore[arg-type]

    with stage.scene("chat"):
        await agent("gpt-5-mini").run(task=QUESTION)
    with stage.scene("chat_ru"):
        await agent("gpt-4o", SYSTEM_RU).run(task=QUESTION_RU)
    with stage.scene("tools"):
        await agent("gpt-4.1-mini", tools=[get_order_status], reflect_on_tool_use=True).run(task=ORDER)
    with stage.scene("error_500"):
        await agent("err-500").run(task=QUESTION)
