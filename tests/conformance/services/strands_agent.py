"""Strands agents' own OpenTelemetry."""

from stage import ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, Stage, otel_provider
from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    stage.flush = provider.force_flush

    def agent(model: str, system: str = SYSTEM, **settings: object) -> Agent:
        client = {"base_url": stage.url, "api_key": "sk-none", "max_retries": 0}
        made = OpenAIModel(client_args=client, model_id=model)
        return Agent(model=made, system_prompt=system, callback_handler=None, name="shop_agent", **settings)  # type: ignore[arg-type]

    with stage.scene("chat"):
        agent("gpt-5-mini")(QUESTION)
    with stage.scene("chat_ru"):
        agent("gpt-4o", SYSTEM_RU)(QUESTION_RU)
    with stage.scene("tools"):
        agent("gpt-4.1-mini", tools=[get_order_status])(ORDER)
    with stage.scene("error_500"):
        agent("err-500")(QUESTION)
    with stage.scene("session_user"):
        agent("gpt-4o-mini", trace_attributes={"session.id": SESSION, "user.id": USER})(QUESTION)
