"""The SDKs that are run: what each needs, which service plays its scenarios, and how it is told where to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_OTEL: Final = ("opentelemetry-sdk==1.45.1", "opentelemetry-exporter-otlp-proto-http==1.45.1")
_OPENAI: Final = "openai==3.54.0"
_OPENAI_2: Final = "openai==2.54.0"
_OF_OPENAI: Final = "openinference-instrumentation-openai==0.1.66"
_NODE_OTEL: Final = (
    *("@opentelemetry/sdk-trace-node@2.12.0", "@opentelemetry/exporter-trace-otlp-proto@0.223.1"),
    *("@opentelemetry/resources@2.12.1", "@opentelemetry/api@1.9.1"),
)
_LOCAL_PRICES: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@dataclass(frozen=True)
class Sdk:
    """An SDK.

    Attributes:
        service: module under services/ that plays its scenarios; a file under services/node/ for JavaScript
        packages: of its environment, pinned
        dialects: of its calls, as Gnomon has them
        settings: further environment variables, ``{url}`` standing for where to send
    """

    service: str
    packages: tuple[str, ...]
    dialects: frozenset[str]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_node(self) -> bool:
        """Whether it is JavaScript."""
        return self.service.endswith(".mjs")


def _sdk(service: str, dialects: str, *packages: str, **settings: str) -> Sdk:
    return Sdk(service, packages, frozenset(dialects.split()), settings)


SDKS: Final[Mapping[str, Sdk]] = {
    "openinference-openai": _sdk("openinference_openai", "openinference", _OPENAI, _OF_OPENAI, *_OTEL),
    "openllmetry-openai": _sdk(
        "openllmetry_openai", "openllmetry", _OPENAI, "opentelemetry-instrumentation-openai==0.62.4", *_OTEL
    ),
    "langfuse-openai": _sdk("langfuse_openai", "langfuse", _OPENAI, "langfuse==5.0.4"),
    "logfire": _sdk("logfire_openai", "logfire", _OPENAI, "logfire==5.2.0"),
    "pydantic-ai": _sdk(
        "pydantic_ai_agent", "pydantic-ai logfire", _OPENAI, "logfire==5.2.0", "pydantic-ai-slim==2.68.0"
    ),
    "openlit": _sdk("openlit_openai", "openlit", _OPENAI_2, "openlit==1.45.0"),
    "langsmith": _sdk(
        "langsmith_otel", "langsmith", _OPENAI, "langsmith[otel]==0.15.0", "langchain==1.4.7",
        "langchain-openai==1.7.3", LANGSMITH_OTEL_ENABLED="true", LANGSMITH_TRACING="true",
        LANGSMITH_OTEL_ONLY="true", LANGSMITH_ENDPOINT="{url}", LANGSMITH_API_KEY="k",
    ),
    "traceloop": _sdk(
        "traceloop_openai", "openllmetry", _OPENAI, "traceloop-sdk==0.62.4", "httpx==0.28.1", *_OTEL
    ),
    "litellm": _sdk(
        "litellm_otel", "litellm", _OPENAI_2, "litellm==1.106.2", "mcp==2.3.0", *_OTEL,
        OTEL_EXPORTER="otlp_http", **_LOCAL_PRICES,
    ),
    "openai-agents": _sdk(
        "openai_agents", "openinference", _OPENAI, "openai-agents==0.24.0",
        "openinference-instrumentation-openai-agents==2.6.0", *_OTEL,
    ),
    "openai-agents-logfire": _sdk(
        "openai_agents_logfire", "logfire", _OPENAI, "openai-agents==0.24.0",
        "openinference-instrumentation-openai-agents==2.6.0", "logfire==5.2.0",
    ),
    "llama-index": _sdk(
        "llamaindex_openinference", "openinference", _OPENAI_2, "llama-index-core==0.14.25",
        "llama-index-llms-openai-like==0.8.1", "llama-index-embeddings-openai==0.7.0",
        "openinference-instrumentation-llama-index==4.6.1", _OF_OPENAI, *_OTEL,
    ),
    "crewai": _sdk(
        "crewai_openinference", "openinference", _OPENAI_2, "crewai==1.15.30",
        "openinference-instrumentation-crewai==1.1.21", _OF_OPENAI, *_OTEL,
        CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false",
    ),
    "google-adk": _sdk(
        "google_adk_litellm", "google-adk", _OPENAI_2, "google-adk==2.13.0", "litellm==1.106.2", "mcp==2.3.0",
        "opentelemetry-exporter-otlp-proto-http==1.44.0", **_LOCAL_PRICES,
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
    ),
    "laminar": _sdk(
        "lmnr_openai", "laminar", _OPENAI, "lmnr==0.7.16", "opentelemetry-sdk==1.38.0",
        "opentelemetry-exporter-otlp-proto-http==1.38.0", "opentelemetry-exporter-otlp-proto-grpc==1.38.0",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="{url}/v1/traces", OTEL_EXPORTER="otlp_http",
    ),
    "strands": _sdk("strands_agent", "strands", _OPENAI_2, "strands-agents[openai,otel]==1.62.0", *_OTEL),
    "semantic-kernel": _sdk(
        "semantic_kernel_otel", "otel-genai", _OPENAI, "semantic-kernel==1.45.0", *_OTEL
    ),
    "smolagents": _sdk(
        "smolagents_openinference", "openinference", _OPENAI, "smolagents[openai]==1.26.0",
        "openinference-instrumentation-smolagents==0.1.43", *_OTEL,
    ),
    "dspy": _sdk(
        "dspy_openinference", "openinference", _OPENAI, "dspy==3.4.1",
        "openinference-instrumentation-dspy==0.1.48", "openinference-instrumentation-litellm==0.1.51", *_OTEL,
    ),
    "haystack": _sdk(
        "haystack_openinference", "openinference", _OPENAI, "haystack-ai==3.4.0",
        "openinference-instrumentation-haystack==0.1.46", *_OTEL,
    ),
    "agno": _sdk(
        "agno_openinference", "openinference", _OPENAI, "agno==3.1.10",
        "openinference-instrumentation-agno==1.0.15", *_OTEL,
    ),
    "autogen": _sdk(
        "autogen_openinference", "openinference", _OPENAI, "autogen-agentchat==0.7.5",
        "autogen-ext[openai]==0.7.5", _OF_OPENAI, *_OTEL,
    ),
    "livekit": _sdk(
        "livekit_agents", "livekit", _OPENAI, "livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9",
        "opentelemetry-exporter-otlp-proto-http==1.45.2",
    ),
    "vercel-ai-6": _sdk(
        "vercel_ai.mjs", "vercel-ai-6", "ai@6.0.326", "@ai-sdk/openai@3.0.141", "zod@4.6.7", *_NODE_OTEL
    ),
    "vercel-ai-5": _sdk(
        "vercel_ai.mjs", "vercel-ai-6", "ai@5.0.277", "@ai-sdk/openai@2.0.131", "zod@4.6.7", *_NODE_OTEL
    ),
    "traceloop-js": _sdk(
        "traceloop.mjs", "openllmetry", "@traceloop/node-server-sdk@0.27.0", "openai@6.49.0", *_NODE_OTEL,
        TRACELOOP_TELEMETRY="false",
    ),
}  # fmt: skip
