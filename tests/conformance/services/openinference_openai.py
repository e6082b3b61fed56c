"""OpenInference on the OpenAI client."""

import openai
import openai_client
from openinference.instrumentation.openai import OpenAIInstrumentor
from stage import Stage, otel_provider


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush
    openai_client.play(stage, openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0))
