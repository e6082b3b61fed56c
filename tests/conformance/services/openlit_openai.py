"""OpenLIT on the OpenAI client."""

import openai_client
import openlit
from opentelemetry import _logs, trace
from stage import Stage


def run(stage: Stage) -> None:
    """Play the scenarios."""
    openlit.init(application_name="shop", environment="test")
    import openai

    def flush() -> None:
        trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]
        if hasattr(_logs.get_logger_provider(), "force_flush"):
            _logs.get_logger_provider().force_flush()  # type: ignore[attr-defined]

    stage.flush = flush
    openai_client.play(stage, openai.OpenAI(base_url=stage.url, api_key="sk-none", max_retries=0))
