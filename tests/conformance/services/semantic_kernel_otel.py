"""Semantic Kernel's own spans of model calls."""

import asyncio
import os

os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS"] = "true"
os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE"] = "true"

import logging

from openai import AsyncOpenAI
from opentelemetry.sdk._logs import LoggingHandler
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAITextEmbedding
from semantic_kernel.functions import kernel_function
from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, flush_of, otel_logs, otel_provider


class Orders:
    """A plugin."""

    @kernel_function(name="get_order_status", description="Where an order is")
    def get_order_status(self, order: str) -> str:
        """Tell where an order is."""
        return f"{order} has been shipped"


def run(stage: Stage) -> None:
    """Play the scenarios; content goes as log records."""
    provider = otel_provider()
    logs = otel_logs()
    logging.getLogger("semantic_kernel").addHandler(LoggingHandler(logger_provider=logs))
    logging.getLogger("semantic_kernel").setLevel(logging.INFO)
    stage.flush = flush_of(provider, logs)
    asyncio.run(play(stage))


async def play(stage: Stage) -> None:
    """Play them on one client."""
    client = AsyncOpenAI(base_url=stage.url, api_key="sk-none", max_retries=0)

    def agent(model: str, system: str = SYSTEM, **settings: object) -> ChatCompletionAgent:
        service = OpenAIChatCompletion(ai_model_id=model, async_client=client)
        return ChatCompletionAgent(service=service, name="shop_agent", instructions=system, **settings)  # type: ignore[arg-type]

    with stage.scene("chat"):
        await agent("gpt-5-mini").get_response(QUESTION)
    with stage.scene("chat_ru"):
        await agent("gpt-4o", SYSTEM_RU).get_response(QUESTION_RU)
    with stage.scene("chat_stream"):
        async for _ in agent("gpt-4o-mini").invoke_stream(QUESTION):
            pass
    with stage.scene("tools"):
        await agent("gpt-4.1-mini", plugins=[Orders()]).get_response(ORDER)
    with stage.scene("error_500"):
        await agent("err-500").get_response(QUESTION)
    with stage.scene("embeddings"):
        embedding = OpenAITextEmbedding(ai_model_id="text-embedding-3-small", async_client=client)
        await embedding.generate_embeddings(["rain"])
