"""LangSmith's OTLP export: its wrapper of the OpenAI client, and LangChain with a graph of tools."""

import openai
import openai_client
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langsmith import Client
from langsmith.wrappers import wrap_openai
from opentelemetry import trace
from stage import ORDER, QUESTION, QUESTION_RU, SESSION, SYSTEM, SYSTEM_RU, USER, Stage


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios."""
    client = Client()

    def flush() -> None:
        client.flush()
        provider = trace.get_tracer_provider()
        if hasattr(provider, "force_flush"):
            provider.force_flush()

    stage.flush = flush
    wrapped = wrap_openai(
        openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0), tracing_extra={"client": client}
    )
    openai_client.play(stage, wrapped)

    def model(name: str, **settings: object) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=stage.url, api_key="sk-none", max_retries=0, **settings)

    with stage.scene("lc_chat"):
        model("gpt-5-mini").invoke(
            [("system", SYSTEM), ("user", QUESTION)],
            {"metadata": {"session_id": SESSION, "user_id": USER}, "tags": ["vip"]},
        )
    with stage.scene("lc_chat_ru"):
        model("gpt-4o").invoke([("system", SYSTEM_RU), ("user", QUESTION_RU)])
    with stage.scene("lc_stream"):
        for _ in model("gpt-4o-mini", stream_usage=True).stream([("system", SYSTEM), ("user", QUESTION)]):
            pass
    with stage.scene("lc_tools"):
        create_agent(model("gpt-4.1-mini"), [get_order_status]).invoke({"messages": [("user", ORDER)]})
    with stage.scene("lc_error"):
        model("err-500").invoke(QUESTION)
    with stage.scene("lc_embeddings"):
        OpenAIEmbeddings(
            model="text-embedding-3-small",
            base_url=stage.url,
            api_key="sk-none",
            check_embedding_ctx_length=False,
        ).embed_documents(["rain"])
