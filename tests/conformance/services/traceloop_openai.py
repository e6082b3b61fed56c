"""The Traceloop SDK with workflows around the OpenAI client."""

import os

import openai_client
from opentelemetry import trace
from stage import QUESTION, SESSION, USER, Stage
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import task, tool, workflow


def run(stage: Stage) -> None:
    """Play the scenarios."""
    headers = dict([os.environ["OTEL_EXPORTER_OTLP_HEADERS"].split("=", 1)])
    Traceloop.init(
        app_name="shop",
        api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
        headers=headers,
        telemetry_enabled=False,
    )
    import openai

    stage.flush = trace.get_tracer_provider().force_flush  # type: ignore[attr-defined]
    client = openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0)
    openai_client.play(stage, client)

    @tool(name="get_order_status")
    def look_up(order: str) -> str:
        return f"{order} has been shipped"

    @task(name="answer")
    def answer(question: str) -> str:
        asked = [openai_client.said("user", f"{question} {look_up('A-1001')}")]
        return str(
            client.chat.completions.create(model="gpt-4o-mini", messages=asked).choices[0].message.content
        )

    @workflow(name="shop")
    def serve(question: str) -> str:
        Traceloop.set_association_properties({"session_id": SESSION, "user_id": USER, "plan": "pro"})
        return answer(question)

    with stage.scene("session_user"):
        serve(QUESTION)
