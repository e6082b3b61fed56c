"""DSPy under OpenInference, without and beside LiteLLM's instrumentation below it."""

import dspy
from openinference.instrumentation.dspy import DSPyInstrumentor
from openinference.instrumentation.litellm import LiteLLMInstrumentor
from stage import QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    DSPyInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush

    def model(name: str) -> dspy.LM:
        return dspy.LM(
            f"openai/{name}",
            api_base=stage.url,
            api_key="sk-none",
            cache=False,
            num_retries=0,
            temperature=None,
            max_tokens=None,
        )

    def said(system: str, question: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": system}, {"role": "user", "content": question}]

    with stage.scene("chat"):
        model("gpt-4o-mini")(messages=said(SYSTEM, QUESTION))
    with stage.scene("chat_ru"):
        model("gpt-4o")(messages=said(SYSTEM_RU, QUESTION_RU))
    with stage.scene("error_500"):
        model("err-500")(messages=said(SYSTEM, QUESTION))
    with stage.scene("predict"), dspy.context(lm=model("gpt-4o-mini")):
        dspy.Predict("question -> answer")(question=QUESTION)
    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    with stage.scene("both_chat"):
        model("gpt-4o-mini")(messages=said(SYSTEM, QUESTION))
