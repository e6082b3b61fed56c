"""LlamaIndex under OpenInference: a query engine over documents, chat, streams and a function agent."""

import asyncio

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


def get_order_status(order: str) -> str:
    """Tell where an order is."""
    return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios, then those where the OpenAI client below is instrumented, too."""
    provider = otel_provider()
    LlamaIndexInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush

    def model(name: str) -> OpenAILike:
        return OpenAILike(
            model=name, api_base=stage.url, api_key="sk-none", max_retries=0, is_chat_model=True,
            is_function_calling_model=True, additional_kwargs={},
        )  # fmt: skip

    def said(system: str, question: str) -> list[ChatMessage]:
        return [ChatMessage(role="system", content=system), ChatMessage(role="user", content=question)]

    Settings.embed_model = OpenAIEmbedding(
        model_name="text-embedding-3-small", api_base=stage.url, api_key="sk-none", max_retries=0
    )
    Settings.llm = model("gpt-4o-mini")
    with stage.scene("chat"):
        model("gpt-5-mini").chat(said(SYSTEM, QUESTION))
    with stage.scene("chat_ru"):
        model("gpt-4o").chat(said(SYSTEM_RU, QUESTION_RU))
    with stage.scene("chat_stream"):
        for _ in model("gpt-4o-mini").stream_chat(
            said(SYSTEM, QUESTION), stream_options={"include_usage": True}
        ):
            pass
    with stage.scene("chat_stream_abort"):
        stream = model("gpt-4o-mini").stream_chat(said(SYSTEM, QUESTION))
        next(stream)
        stream.close()
    with stage.scene("error_500"):
        model("err-500").chat(said(SYSTEM, QUESTION))
    with stage.scene("embeddings"):
        Settings.embed_model.get_text_embedding("rain")
    with stage.scene("rag"):
        index = VectorStoreIndex.from_documents(
            [Document(text="Returns within 14 days."), Document(text="Open at nine.")]
        )
        index.as_query_engine(similarity_top_k=2).query(QUESTION)
    with stage.scene("tools"):
        asyncio.run(ask_agent(model("gpt-4.1-mini")))
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    with stage.scene("both_chat"):
        model("gpt-5-mini").chat(said(SYSTEM, QUESTION))


async def ask_agent(llm: OpenAILike) -> None:
    """Let an agent call a tool."""
    await FunctionAgent(tools=[get_order_status], llm=llm, streaming=False).run(ORDER)
