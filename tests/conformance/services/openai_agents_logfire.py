"""The OpenAI Agents SDK under Logfire."""

import asyncio

import logfire
import openai_agents
from stage import Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_openai_agents()
    stage.flush = logfire.force_flush
    asyncio.run(openai_agents.play(stage))
