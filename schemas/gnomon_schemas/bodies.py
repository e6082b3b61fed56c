"""What dialects carry of the provider's own JSON: requests, responses, usage and messages, read in SQL.

Providers have few shapes (OpenAI's chat and responses, Anthropic's messages), whichever instrumentation
carries them, so a dialect only says where they stand: its fields `request`, `response`, `usage`,
`input_messages` and `output_messages`.
"""

from typing import Final

from gnomon_schemas.dialects import load_dialects, with_trait
from gnomon_schemas.recognition import late_events
from gnomon_schemas.sqltext import one_of, strings

_COUNT: Final = "Nullable(UInt64)"
_USAGE: Final = (
    "Tuple("
    + ", ".join(
        f"{name} {_COUNT}"
        for name in (
            "prompt_tokens",
            "completion_tokens",
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "input",
            "output",
            "input_cache_read",
            "input_cached_tokens",
            "input_cache_creation",
            "input_audio",
            "output_reasoning",
            "output_audio",
        )
    )
    + f", prompt_tokens_details Tuple(cached_tokens {_COUNT}, cache_write_tokens {_COUNT})"
    f", input_tokens_details Tuple(cached_tokens {_COUNT}, cache_write_tokens {_COUNT})"
    f", input_token_details Tuple(cache_read {_COUNT}, cache_creation {_COUNT})"
    f", completion_tokens_details Tuple(reasoning_tokens {_COUNT})"
    f", output_tokens_details Tuple(reasoning_tokens {_COUNT})"
    f", output_token_details Tuple(reasoning {_COUNT}))"
)
_RESPONSE: Final = (
    "Tuple(id String, model String, type String, status String, stop_reason String, usage String,"
    " choices Array(Tuple(finish_reason String, message Tuple(content String, tool_calls Array(Tuple("
    "function Tuple(name String, arguments String)))))),"
    " message Tuple(content String), combined_chunk_content String, meta Tuple(usage String),"
    " content Array(Tuple(type String, text String)),"
    " output Array(Tuple(type String, content Array(Tuple(text String)))),"
    " generations Array(Array(Tuple(text String, generation_info Tuple(finish_reason String),"
    " message Tuple(kwargs Tuple(tool_calls Array(Tuple(name String, args String)),"
    " response_metadata Tuple(id String)))))))"
)
_REQUEST: Final = (
    "Tuple(model String, stream Nullable(Bool), messages String, input String, query String, contents String)"
)

_CACHE_READ: Final = (
    "coalesce(u.prompt_tokens_details.cached_tokens, u.input_tokens_details.cached_tokens,"
    " u.input_token_details.cache_read, u.cache_read_input_tokens, u.input_cache_read, u.input_cached_tokens)"
)
_CACHE_WRITE: Final = (
    "coalesce(u.prompt_tokens_details.cache_write_tokens, u.input_tokens_details.cache_write_tokens,"
    " u.input_token_details.cache_creation, u.cache_creation_input_tokens, u.input_cache_creation)"
)
_REASONING: Final = (
    "coalesce(u.completion_tokens_details.reasoning_tokens, u.output_tokens_details.reasoning_tokens,"
    " u.output_token_details.reasoning, u.output_reasoning)"
)
# `input` and `output` are Langfuse's buckets, which exclude each other.
# They read `read` and `written`, the tokens of the cache.
_INPUT: Final = (
    "if(u.input IS NULL, coalesce(u.prompt_tokens, u.input_tokens),"
    " u.input + ifNull(u.input_audio, 0) + ifNull(read, 0) + ifNull(written, 0))"
)
_OUTPUT: Final = (
    "if(u.output IS NULL, coalesce(u.completion_tokens, u.output_tokens),"
    " u.output + ifNull(u.output_audio, 0) + ifNull(u.output_reasoning, 0))"
)


_INPUT_MESSAGES: Final = (
    "multiIf(startsWith(f_input_messages, '{') AND JSONHas(f_input_messages, 'items'),"
    " JSONExtractRaw(f_input_messages, 'items'),"
    " startsWith(f_input_messages, '{'), JSONExtractRaw(f_input_messages, 'messages'),"
    " f_input_messages != '', f_input_messages,"
    # LangChain's: a list of conversations
    " startsWith(request.messages, '[['), JSONExtractRaw(request.messages, 1),"
    " request.messages != '', request.messages,"
    " request.contents != '', request.contents, request.input)"
)
_OUTPUT_MESSAGES: Final = (
    "multiIf(f_output_messages != '', f_output_messages,"
    " startsWith(f_response, '[') AND NOT JSONHas(f_response, 1, 'output'),"
    " f_response,"
    " startsWith(f_response, '{') AND JSONHas(f_response, 'role'), concat('[', f_response, ']'),"
    # Gemini's: one candidate
    " startsWith(f_response, '{') AND JSONHas(f_response, 'content', 'parts'),"
    " concat('[', JSONExtractRaw(f_response, 'content'), ']'),"
    # Logfire's version 1: question and answer are one list
    " dialect = 'logfire' AND position(f_input_messages, 'gen_ai.choice') > 0, f_input_messages, '')"
)
# OpenAI's agents under OpenInference: a list of the one response of a stream
_ONE_RESPONSE: Final = (
    "if(startsWith(f_response, '[{') AND JSONHas(f_response, 1, 'output'),"
    " JSONExtractRaw(f_response, 1), f_response)"
)


def bodies_select(source: str) -> str:
    """Return the SELECT that adds `request`, `response`, messages as JSON, and `usages` to a span's fields.

    And what its events say: `exception_type`, `exception_message`, and `late_events` (see there).

    `usages` has (input, output, cache read, cache write, reasoning) of the usage that the dialect gives and
    then of that in the response, as far as there are any.
    """
    counts = f"({_INPUT}, {_OUTPUT}, read, written, {_REASONING})"
    usage = f"arrayMap((read, written) -> {counts}, [{_CACHE_READ}], [{_CACHE_WRITE}])[1]"
    return f"""\
SELECT *,
    {_INPUT_MESSAGES} AS input_messages,
    {_OUTPUT_MESSAGES} AS output_messages,
    arrayMap(u -> {usage}, arrayMap(t -> JSONExtract({_json("t")}, '{_USAGE}'),
        arrayFilter(t -> t != '', [f_usage, response.usage, response.meta.usage]))) AS usages
FROM (
SELECT *,
    {_parsed(_ONE_RESPONSE, _RESPONSE)} AS response,
    {_parsed("f_request", _REQUEST)} AS request,
    {_of_exception("type")} AS exception_type,
    {_of_exception("message")} AS exception_message,
    {late_events(load_dialects())} AS late_events
FROM {source}
)"""  # noqa: S608  (SQL of this module)


def _of_exception(what: str) -> str:
    return f"otlp_events.3[indexOf(otlp_events.2, 'exception')]['exception.{what}']"


def _json(text: str) -> str:
    """SQL for a text that is JSON, or a Python dict of numbers, which LiteLLM and LangSmith send."""
    as_json = f"replaceAll(replaceAll({text}, '\\'', '\"'), 'None', 'null')"
    return f"if(startsWith({text}, '{{\\''), {as_json}, {text})"


def _parsed(text: str, shape: str) -> str:
    return f"arrayMap(t -> JSONExtract(t, '{shape}'), if(startsWith({text}, '{{'), [{text}], []))[1]"


def used(field: str, number: int) -> str:
    """Return SQL for a token count: as the span says it, else of its usage, else of the response's usage."""
    said = f"accurateCastOrNull(toFloat64OrNull(f_{field}), 'UInt64')"
    return f"coalesce({said}, usages[1].{number}, usages[2].{number}, usages[3].{number})"


RESPONSE_ID: Final = (
    # OpenAI's agents have that one for every stream of chat completions
    "multiIf(f_response_id != '', f_response_id, response.id NOT IN ('', '__fake_id__'), response.id,"
    " response.generations[1][1].message.kwargs.response_metadata.id)"
)
FINISH_REASON: Final = (
    "multiIf(startsWith(f_finish_reasons, '['), JSONExtractString(f_finish_reasons, 1),"
    " f_finish_reasons != '', f_finish_reasons, response.stop_reason != '', response.stop_reason,"
    " notEmpty(response.choices), response.choices[1].finish_reason,"
    " notEmpty(response.generations), response.generations[1][1].generation_info.finish_reason,"
    " response.status)"
)
RESPONSE_TEXT: Final = (
    "multiIf(notEmpty(response.choices), if(response.choices[1].message.content = '',"
    " arrayStringConcat(arrayMap(c -> concat(c.function.name, '(', c.function.arguments, ')'),"
    " response.choices[1].message.tool_calls), '\n'), response.choices[1].message.content),"
    " notEmpty(response.generations), if(response.generations[1][1].text = '',"
    " arrayStringConcat(arrayMap(c -> concat(c.name, '(', c.args, ')'),"
    " response.generations[1][1].message.kwargs.tool_calls), '\n'), response.generations[1][1].text),"
    " notEmpty(response.output), arrayStringConcat(arrayFilter(x -> x != '',"
    " arrayMap(o -> arrayStringConcat(o.content.text), response.output)), '\\n'),"
    " notEmpty(response.content), arrayStringConcat(response.content.text),"
    # Logfire's: of a call, and of a stream
    " response.message.content != '', response.message.content, response.combined_chunk_content)"
)
SAYS_NOTHING: Final = (
    "arrayAll(m -> m.role != '' AND m.content = ''"
    " AND arrayAll(p -> p.type = 'text' AND p.content = '', m.parts)"
    " AND arrayAll(t -> t IN ('', '[]', 'null'), [m.tool_calls, m.audio, m.refusal]),"
    " JSONExtract(f_output_messages, 'Array(Tuple(role String, content String, tool_calls String,"
    " audio String, refusal String, parts Array(Tuple(type String, content String))))'))"
)
_USERS: Final = ("user", "human")
_ASSISTANTS: Final = ("assistant", "ai", "model", "unknown")


def last_messages() -> str:
    """Return SQL for the readable texts of the user's last message and of the assistant's: an array of two.

    Tool calls are name(arguments). Both in one, for what is said twice is analysed twice at every insert.
    """
    shape = (
        "Array(Tuple(role String, content String,"
        " parts Array(Tuple(type String, content String, name String, arguments String, response String,"
        # Gemini's parts have no type
        " result String, text String)),"
        # LangChain's, serialised
        " kwargs Tuple(type String, content String),"
        # Logfire's events
        " message Tuple(role String, content String),"
        " tool_calls Array(Tuple(function Tuple(name String, arguments String)))))"
    )
    part = (
        "multiIf(p.type = 'tool_call', concat(p.name, '(', p.arguments, ')'),"
        " p.type = 'tool_call_response', if(p.response = '', p.result, p.response),"
        " p.type IN ('reasoning', 'blob', 'file', 'uri'), '', p.content = '', p.text, p.content)"
    )
    parts = f"arrayStringConcat(arrayFilter(x -> x != '', arrayMap(p -> {part}, m.parts)), '\\n')"
    text = (
        f"multiIf(notEmpty(m.parts), {parts}, m.content != '', m.content,"
        " m.kwargs.content != '', m.kwargs.content, m.message.content != '', m.message.content,"
        " arrayStringConcat(arrayMap("
        "c -> concat(c.function.name, '(', c.function.arguments, ')'), m.tool_calls), '\\n'))"
    )
    # some give a tool's result back as a message of the user
    is_said = (
        "transform(coalesce(nullIf(m.role, ''), nullIf(m.message.role, ''), m.kwargs.type),"
        f" [{strings((*_USERS, *_ASSISTANTS))}],"
        f" [{', '.join(['1'] * len(_USERS) + ['2'] * len(_ASSISTANTS))}], 0) = side"
        " AND NOT (side = 1 AND notEmpty(m.parts)"
        " AND arrayAll(p -> p.type = 'tool_call_response', m.parts))"
    )
    last = f"arrayLast(m -> {is_said}, JSONExtract(said, '{shape}'))"
    return (
        f"arrayMap((said, side) -> arrayMap(m -> {text}, [{last}])[1],"
        " [input_messages, output_messages], [1, 2])"
    )


def readable(text: str) -> str:
    """Return SQL for the text in a message's content, which some providers give as a JSON list of parts."""
    return (
        f"if(startsWith({text}, '[{{'), arrayStringConcat(arrayFilter(x -> x != '',"
        f" JSONExtract({text}, 'Array(Tuple(text String))').text), '\\n'), {text})"
    )


def flat_messages() -> str:
    """Return SQL for the last messages where they are attributes by index: of the user and of the assistant.

    Empty otherwise. The numbers in the names are in no order on the wire; the longer name has the higher one.
    """
    text = (
        "arrayMap(base -> if(has(keys, concat(base, 'content')),"
        " texts[indexOf(keys, concat(base, 'content'))],"
        " arrayStringConcat(arrayFilter((t, k) -> startsWith(k, base) AND (endsWith(k, '.text')"
        " OR endsWith(k, '.name') OR endsWith(k, '.arguments')), texts, keys), '\\n')),"
        " [substring(role, 1, length(role) - 4)])[1]"
    )
    last = (
        "arraySlice(arraySort(k -> (length(k), k), arrayFilter((k, t) -> endsWith(k, 'role')"
        " AND (startsWith(k, starts[1]) OR startsWith(k, starts[2])) AND has(roles, t), keys, texts)), -1)"
    )
    starts = "[['llm.input_messages.', 'gen_ai.prompt.'], ['llm.output_messages.', 'gen_ai.completion.']]"
    both = (
        f"arrayMap((starts, roles) -> arrayMap(role -> {text}, {last})[1],"
        f" {starts}, [[{strings(_USERS)}], [{strings(_ASSISTANTS)}]])"
    )
    return f"if({one_of('dialect', with_trait('flat_messages'))}, {both}, ['', ''])"
