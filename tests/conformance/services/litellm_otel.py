"""LiteLLM with its OpenTelemetry callback."""

from types import SimpleNamespace
from typing import Any

import litellm
import openai_client
from opentelemetry import trace
from stage import QUESTION, SESSION, USER, Stage


def run(stage: Stage) -> None:
    """Play the scenarios, those that LiteLLM has."""
    litellm.callbacks = ["otel"]
    own: dict[str, Any] = {"api_base": stage.url, "api_key": "sk-none", "num_retries": 0, "max_retries": 0}

    def chat(model: str, **request: Any) -> Any:
        return litellm.completion(model=f"openai/{model}", **own, **request)

    def embed(model: str, **request: Any) -> Any:
        return litellm.embedding(model=f"openai/{model}", api_base=stage.url, api_key="sk-none", **request)

    def respond(model: str, **request: Any) -> Any:
        return litellm.responses(model=f"openai/{model}", api_base=stage.url, api_key="sk-none", **request)

    stage.flush = lambda: getattr(trace.get_tracer_provider(), "force_flush", lambda: None)()
    client = SimpleNamespace(
        with_options=lambda **_: client,
        chat=SimpleNamespace(completions=SimpleNamespace(create=chat)),
        embeddings=SimpleNamespace(create=embed),
        responses=SimpleNamespace(create=respond),
    )
    openai_client.play(stage, client)
    with stage.scene("session_user"):
        chat(
            "gpt-4o-mini", messages=[openai_client.said("user", QUESTION)], user=USER,
            metadata={"session_id": SESSION, "plan": "pro"},
        )  # fmt: skip
