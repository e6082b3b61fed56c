"""Langfuse's drop-in for the OpenAI client."""

import openai_client
from langfuse import get_client
from langfuse.openai import OpenAI
from stage import Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    stage.flush = get_client().flush
    openai_client.play(stage, OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0))
