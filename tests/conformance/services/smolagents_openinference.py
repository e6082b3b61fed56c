"""smolagents under OpenInference."""

from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from smolagents import OpenAIServerModel, ToolCallingAgent, tool
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


@tool
def get_order_status(order: str) -> str:
    """Tell where an order is.

    Args:
        order: its number
    """
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    SmolagentsInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush

    def model(name: str) -> OpenAIServerModel:
        return OpenAIServerModel(
            model_id=name, api_base=stage.url, api_key="sk-none", client_kwargs={"max_retries": 0}
        )

    def said(system: str, question: str) -> list[dict[str, object]]:
        texts = (("system", system), ("user", question))
        return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts]

    with stage.scene("chat"):
        model("gpt-5-mini")(said(SYSTEM, QUESTION))
    with stage.scene("chat_ru"):
        model("gpt-4o")(said(SYSTEM_RU, QUESTION_RU))
    with stage.scene("chat_stream"):
        for _ in model("gpt-4o-mini").generate_stream(said(SYSTEM, QUESTION)):
            pass
    with stage.scene("tools"):
        ToolCallingAgent(tools=[get_order_status], model=model("gpt-4.1-mini"), max_steps=2).run(ORDER)
    with stage.scene("error_400"):
        model("err-400")(said(SYSTEM, QUESTION))
