"""Which packages instrument which GenAI library: the table behind `gnomon.init(instrument="auto")`."""

from dataclasses import dataclass
from typing import Final

OFFICIAL: Final = "opentelemetry-instrumentation-genai-"
OPENINFERENCE: Final = "openinference-instrumentation-"
CONTRIB: Final = "opentelemetry-instrumentation-"

_CONTRIB_OFFICIAL: Final = frozenset({"openai-v2", "openai-agents-v2", "google-genai", "vertexai-v2"})
"""GenAI instrumentors of OpenTelemetry's own contrib repository, the predecessors of ``-genai-``."""

GENAI_LIBRARIES: Final[dict[str, str]] = {
    "agno": "agno",
    "alephalpha": "aleph_alpha_client",
    "anthropic": "anthropic",
    "autogen": "autogen",
    "autogenagentchat": "autogen_agentchat",
    "bedrock": "botocore",
    "beeai": "beeai_framework",
    "chromadb": "chromadb",
    "claudeagentsdk": "claude_agent_sdk",
    "cohere": "cohere",
    "crewai": "crewai",
    "dspy": "dspy",
    "googleadk": "google.adk",
    "googlegenai": "google.genai",
    "googlegenerativeai": "google.genai",
    "groq": "groq",
    "guardrails": "guardrails",
    "haystack": "haystack",
    "instructor": "instructor",
    "lancedb": "lancedb",
    "langchain": "langchain_core",
    "litellm": "litellm",
    "llamaindex": "llama_index",
    "marqo": "marqo",
    "mcp": "mcp",
    "milvus": "pymilvus",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "openaiagents": "agents",
    "pinecone": "pinecone",
    "portkey": "portkey_ai",
    "pydanticai": "pydantic_ai",
    "qdrant": "qdrant_client",
    "replicate": "replicate",
    "sagemaker": "boto3",
    "smolagents": "smolagents",
    "strandsagents": "strands",
    "together": "together",
    "transformers": "transformers",
    "vertexai": "vertexai",
    "voyageai": "voyageai",
    "watsonx": "ibm_watsonx_ai",
    "weaviate": "weaviate",
    "writer": "writerai",
}
"""Library as its instrumentors call it, without dashes → module whose import means it is in use."""

EXTRAS: Final = ("openai",)
"""Libraries whose instrumentor an extra of this distribution brings along."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The library a package instruments, and how much that family is preferred (0 first)."""

    library: str
    rank: int


def library_of(package: str) -> Coverage | None:
    """Return what a package instruments; None when it has nothing to do with GenAI (HTTP, databases)."""
    name = package.lower().replace("_", "-").replace(".", "-")
    if name.startswith(OFFICIAL):
        return Coverage(_library(name.removeprefix(OFFICIAL)), 0)
    if name.startswith(OPENINFERENCE):
        return Coverage(_library(name.removeprefix(OPENINFERENCE)), 2)
    if not name.startswith(CONTRIB):
        return None
    suffix = name.removeprefix(CONTRIB)
    if suffix in _CONTRIB_OFFICIAL:
        return Coverage(_library(suffix), 1)
    library = _library(suffix)
    return Coverage(library, 3) if library in GENAI_LIBRARIES else None


def _library(suffix: str) -> str:
    return suffix.removesuffix("-v2").replace("-", "")
