"""Agno under OpenInference."""

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from openinference.instrumentation.agno import AgnoInstrumentor
from stage import ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, Stage, otel_provider


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    AgnoInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush

    def agent(model: str, system: str = SYSTEM, **settings: object) -> Agent:
        made = OpenAIChat(id=model, base_url=stage.url, api_key="sk-none", max_retries=0)
        return Agent(model=made, instructions=system, name="shop_agent", telemetry=False, **settings)  # type: ignore[arg-type]

    with stage.scene("chat"):
        agent("gpt-5-mini").run(QUESTION)
    with stage.scene("chat_ru"):
        agent("gpt-4o", SYSTEM_RU).run(QUESTION_RU)
    with stage.scene("chat_stream"):
        for _ in agent("gpt-4o-mini").run(QUESTION, stream=True):
            pass
    with stage.scene("tools"):
        agent("gpt-4.1-mini", tools=[get_order_status]).run(ORDER)
    with stage.scene("error_500"):
        agent("err-500").run(QUESTION)
    with stage.scene("session_user"):
        agent("gpt-4o-mini").run(QUESTION, session_id=SESSION, user_id=USER)
