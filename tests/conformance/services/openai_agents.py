"""The OpenAI Agents SDK under OpenInference, with handoffs and tools."""

import asyncio

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.models.openai_responses import OpenAIResponsesModel
from openai import AsyncOpenAI
from openinference.instrumentation import using_session, using_user
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from stage import ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, Stage, otel_provider


@function_tool
def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    set_tracing_disabled(False)
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush
    asyncio.run(play(stage))


async def play(stage: Stage) -> None:
    """Play them on one client."""
    client = AsyncOpenAI(base_url=stage.url, api_key="sk-none", max_retries=0)

    def agent(model: str, system: str = SYSTEM, **settings: object) -> Agent:
        made = OpenAIChatCompletionsModel(model=model, openai_client=client)
        return Agent(name="shop_agent", instructions=system, model=made, **settings)  # type: ignore[arg-type]

    with stage.scene("chat"):
        await Runner.run(agent("gpt-5-mini"), QUESTION)
    with stage.scene("chat_ru"):
        await Runner.run(agent("gpt-4o", SYSTEM_RU), QUESTION_RU)
    with stage.scene("chat_stream"):
        streaming = agent("gpt-4o-mini", model_settings=ModelSettings(include_usage=True))
        async for _ in Runner.run_streamed(streaming, QUESTION).stream_events():
            pass
    with stage.scene("tools"):
        await Runner.run(agent("gpt-4.1-mini", tools=[get_order_status]), ORDER)
    with stage.scene("error_500"):
        await Runner.run(agent("err-500"), QUESTION)
    with stage.scene("session_user"), using_session(SESSION), using_user(USER):
        await Runner.run(agent("gpt-4o-mini"), QUESTION)
    responses = Agent(
        name="shop_agent",
        instructions=SYSTEM,
        model=OpenAIResponsesModel(model="gpt-5-mini", openai_client=client),
    )
    with stage.scene("responses"):
        await Runner.run(responses, QUESTION)
    with stage.scene("responses_stream"):
        async for _ in Runner.run_streamed(responses, QUESTION).stream_events():
            pass
