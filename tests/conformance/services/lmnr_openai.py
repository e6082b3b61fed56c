"""Laminar on the OpenAI client."""

import openai_client
from lmnr import Laminar, observe
from stage import QUESTION, SESSION, USER, Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    # without an address of Laminar it sends where OTEL_ENDPOINT says
    Laminar.initialize()
    import openai

    stage.flush = Laminar.flush
    client = openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0)
    openai_client.play(stage, client)

    @observe(session_id=SESSION, user_id=USER, tags=["vip"], metadata={"plan": "pro"})
    def answer(question: str) -> str:
        message = openai_client.said("user", question)
        return str(
            client.chat.completions.create(model="gpt-4o-mini", messages=[message]).choices[0].message.content
        )

    with stage.scene("session_user"):
        answer(QUESTION)
