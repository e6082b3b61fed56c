"""Attribute names Gnomon writes and reads: the contract between the SDK and the store.

Names without the ``gnomon.`` prefix are those of OpenTelemetry's semantic conventions
(GenAI conventions v1.41 and its unreleased successors); where the standard has no name,
Gnomon has one of its own under ``gnomon.``.
"""

from typing import Final

# --- OpenTelemetry GenAI semantic conventions ------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
STREAM: Final = "gen_ai.request.stream"
TIME_TO_FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
PROMPT_VARIABLE_PREFIX: Final = "gen_ai.prompt.variable."
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K: Final = "gen_ai.request.top_k"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

# --- OpenTelemetry, general ---------------------------------------------------------------
ERROR_TYPE: Final = "error.type"
USER_ID: Final = "user.id"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
ENVIRONMENT: Final = "deployment.environment.name"

# --- Gnomon's own ------------------------------------------------------------------------
KIND: Final = "gnomon.span.kind"
"""One of `SPAN_KINDS`; wins over what the operation name says."""
INPUT: Final = "gnomon.input"
"""JSON or text of what went into a step (`gnomon.observe` arguments)."""
OUTPUT: Final = "gnomon.output"
"""JSON or text of what came out of a step."""
COMPANY_ID: Final = "gnomon.company.id"
PROMPT_TEMPLATE: Final = "gnomon.prompt.template"
"""The prompt before its variables were filled in."""
TAGS: Final = "gnomon.tags"
"""Array of strings."""
METADATA_PREFIX: Final = "gnomon.metadata."
CACHE_STATUS: Final = "gnomon.cache.status"
"""hit, semantic_hit or miss: the service's own cache, not the provider's prompt cache."""
CACHE_SIMILARITY: Final = "gnomon.cache.similarity"
ATTEMPT: Final = "gnomon.attempt"
"""1 for the first try."""
FALLBACK_OF: Final = "gnomon.fallback.of"
FALLBACK_REASON: Final = "gnomon.fallback.reason"
MASKED_PREFIX: Final = "gnomon.masked."
"""``gnomon.masked.<class>``: how many e-mail addresses, phones … were masked on this span."""
RETRY_CAUSE: Final = "gnomon.retry.cause"
"""Why an attempt was repeated: ``http_429``, ``timeout``, ``connection``, or the class of an exception."""
RETRY_WAIT_S: Final = "gnomon.retry.wait_s"
FALLBACK_ANSWERED: Final = "gnomon.fallback.answered"
"""Which candidate of a chain answered; ``canned`` for the canned answer."""
FALLBACK_FAILURES: Final = "gnomon.fallback.failures"
"""Array of ``name: cause``, one for each candidate that did not answer."""
CACHE_NAME: Final = "gnomon.cache.name"
CACHE_SAVED_MODEL: Final = "gnomon.cache.saved.model"
CACHE_SAVED_INPUT_TOKENS: Final = "gnomon.cache.saved.input_tokens"
CACHE_SAVED_OUTPUT_TOKENS: Final = "gnomon.cache.saved.output_tokens"
CACHE_SAVED_USD: Final = "gnomon.cache.saved.cost_usd"
CACHE_SHADOW_RATE: Final = "gnomon.cache.shadow.rate"
"""Share of look-ups that a shadow call checks: 1 divided by it is each one's weight."""
CHECKS_FAILED: Final = "gnomon.checks.failed"
"""Array of the names of the checks that an answer failed."""
SIMULATED: Final = "gnomon.simulated"
"""Resource attribute, true on telemetry that the demo made up."""
STATUS: Final = "gnomon.status"
"""ok, error or cancelled, said by Gnomon's own SDK where OTLP's status has no word for it."""

TOKENS_PER_SECOND: Final = "gnomon.output.tokens_per_second"
"""How fast an answer streamed after its first token, as the SDK saw it."""
DROPPED: Final = "gnomon.dropped"
"""On a span of kind event: how many spans and scores the SDK lost since the last one, by reason below it."""
TRUNCATED: Final = "gnomon.truncated"
"""true on a span of which the SDK had to shorten or leave out a value."""

SPAN_KINDS: Final = (
    "generation",
    "embedding",
    "retrieval",
    "rerank",
    "tool",
    "agent",
    "step",
    "workflow",
    "guardrail",
    "evaluation",
    "cache",
    "event",
    "other",
)
