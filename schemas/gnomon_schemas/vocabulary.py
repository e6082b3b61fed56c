"""The words that instrumentations have for the same thing, as Gnomon's: finish reasons and providers."""

from typing import Final

FINISH_REASONS: Final = {
    "tool_calls": "tool_call",
    "tool-calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "incomplete": "length",
    "content-filter": "content_filter",
    "refusal": "content_filter",
    "failed": "error",
}
PROVIDERS: Final = {
    # frameworks, not providers
    "langchain": "",
    "strands-agents": "",
    "autogen": "",
    # LiveKit says the host
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.completion": "openai",
    "openai.embedding": "openai",
    "azure-openai.chat": "azure.ai.openai",
    "azure-openai.responses": "azure.ai.openai",
    "anthropic.messages": "anthropic",
    "google.generative-ai": "gcp.gemini",
    "google.vertex.chat": "gcp.vertex_ai",
    "amazon-bedrock": "aws.bedrock",
    "mistral.chat": "mistral_ai",
    "xai.chat": "x_ai",
    "groq.chat": "groq",
    "cohere.chat": "cohere",
    "deepseek.chat": "deepseek",
    "az.ai.openai": "azure.ai.openai",
    "vertexai": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
}
