"""Logfire's own instrumentation of the OpenAI client."""

import logfire
import openai
import openai_client
from stage import Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_openai()
    stage.flush = logfire.force_flush
    openai_client.play(stage, openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0))
