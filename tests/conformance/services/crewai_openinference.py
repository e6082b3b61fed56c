"""CrewAI under OpenInference, beside the instrumentation of the OpenAI client below it."""

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from openinference.instrumentation.crewai import CrewAIInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from stage import ORDER, QUESTION_RU, SYSTEM_RU, Stage, otel_provider


@tool("get_order_status")
def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    CrewAIInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush

    def crew(model: str, question: str, tools: list[object]) -> Crew:
        llm = LLM(model=f"openai/{model}", base_url=stage.url, api_key="sk-none", max_retries=0)
        agent = Agent(role="Clerk", goal="Help", backstory=SYSTEM_RU, llm=llm, tools=tools, max_iter=3)
        task = Task(description=question, expected_output="An answer", agent=agent)
        return Crew(agents=[agent], tasks=[task])

    with stage.scene("chat_ru"):
        crew("gpt-4o", QUESTION_RU, []).kickoff()
    with stage.scene("tools"):
        crew("gpt-4.1-mini", ORDER, [get_order_status]).kickoff()
    with stage.scene("error_500"):
        crew("err-500", ORDER, []).kickoff()
