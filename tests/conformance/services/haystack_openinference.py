"""Haystack under OpenInference: a pipeline of prompt and generator, embedders, an agent."""

from haystack import Document, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from openinference.instrumentation.haystack import HaystackInstrumentor
from stage import QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage, otel_provider


def run(stage: Stage) -> None:
    """Play the scenarios."""
    provider = otel_provider()
    HaystackInstrumentor().instrument(tracer_provider=provider)
    stage.flush = provider.force_flush
    key = Secret.from_token("sk-none")

    def pipeline(model: str, **settings: object) -> Pipeline:
        made = Pipeline()
        generator = OpenAIChatGenerator(
            api_key=key, model=model, api_base_url=stage.url, max_retries=0, **settings
        )  # type: ignore[arg-type]
        made.add_component("generator", generator)
        return made

    def ask(made: Pipeline, system: str, question: str) -> None:
        said = [ChatMessage.from_system(system), ChatMessage.from_user(question)]
        made.run({"generator": {"messages": said}})

    with stage.scene("chat"):
        ask(pipeline("gpt-5-mini"), SYSTEM, QUESTION)
    with stage.scene("chat_ru"):
        ask(pipeline("gpt-4o"), SYSTEM_RU, QUESTION_RU)
    with stage.scene("chat_stream"):
        settings = {
            "streaming_callback": lambda _: None,
            "generation_kwargs": {"stream_options": {"include_usage": True}},
        }
        ask(pipeline("gpt-4o-mini", **settings), SYSTEM, QUESTION)
    with stage.scene("error_500"):
        ask(pipeline("err-500"), SYSTEM, QUESTION)
    with stage.scene("rag"):
        rag(stage, key)


def rag(stage: Stage, key: Secret) -> None:
    """Answer from what a store has."""
    store = InMemoryDocumentStore()
    store.write_documents([Document(content="Returns within 14 days.", embedding=[0.1] * 256)])
    made = Pipeline()
    made.add_component(
        "embedder",
        OpenAITextEmbedder(
            api_key=key, model="text-embedding-3-small", api_base_url=stage.url, dimensions=256
        ),
    )
    made.add_component("retriever", InMemoryEmbeddingRetriever(store))
    template = [ChatMessage.from_user("{% for d in documents %}{{ d.content }}{% endfor %} {{ question }}")]
    made.add_component("prompt", ChatPromptBuilder(template, required_variables="*"))
    made.add_component(
        "generator", OpenAIChatGenerator(api_key=key, model="gpt-4o-mini", api_base_url=stage.url)
    )
    made.connect("embedder.embedding", "retriever.query_embedding")
    made.connect("retriever.documents", "prompt.documents")
    made.connect("prompt.prompt", "generator.messages")
    made.run({"embedder": {"text": QUESTION}, "prompt": {"question": QUESTION}})
