"""What calls are billed by beside plain tokens, read in SQL: `spans.usage_details` and `spans.service_tier`.

Few calls have any of it: what parses JSON is behind a look at the text, which is all that the others pay for.
"""

from collections.abc import Sequence
from typing import Final

from gnomon_schemas.dialects import Dialect
from gnomon_schemas.sqltext import mapped, quoted, strings

MOST: Final = 10**15
"""A count above this is none: a cost must stay a number."""

_INPUT: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")
# Langfuse's buckets and LangChain's names stand beside OpenAI's; the hour is Anthropic's.
_PLACES: Final = {
    "input_audio_tokens": (
        *(f"{at}.audio_tokens" for at in _INPUT),
        "input_token_details.audio",
        "input_audio",
    ),
    "output_audio_tokens": (
        *(f"{at}.audio_tokens" for at in _OUTPUT),
        "output_token_details.audio",
        "output_audio",
    ),
    "cache_audio_read_tokens": tuple(f"{at}.cached_tokens_details.audio_tokens" for at in _INPUT),
    "input_image_tokens": tuple(f"{at}.image_tokens" for at in _INPUT),
    "output_image_tokens": tuple(f"{at}.image_tokens" for at in _OUTPUT),
    "cache_image_read_tokens": tuple(f"{at}.cached_tokens_details.image_tokens" for at in _INPUT),
    "cache_write_1h_tokens": (
        "cache_creation.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1h_input_tokens",
    ),
    "web_searches": ("server_tool_use.web_search_requests",),
}
_SAYS_MORE: Final = r"""(audio|image|_1h_|web_search)[a-z_]*["']: *[1-9]"""
_SEARCHES: Final = {"web_searches": "web_search_call", "storage_searches": "file_search_call"}
_SERVICE_TIER: Final = '"service_tier": *"([a-z_]+)"'


def usage_details(dialects: Sequence[Dialect]) -> str:
    """Return SQL for what a span counts in finer classes: by attributes, the usage as JSON, or the response.

    It reads `said_details`, `f_usage`, `f_response` and `response`.
    """
    units = {name: unit for dialect in dialects for name, unit in dialect.usage_details.items()}
    said = (
        f"arrayMap(d -> ({mapped('d.1', units, quoted(''))}, toFloat64OrZero(d.2)), said_details)"
        if units
        else "[]"
    )
    counted = (
        f"arrayFilter(x -> x.2 > 0 AND x.2 < {MOST}, arrayConcat({said}, {_in_usages()}, {_searches()}))"
    )
    first = "arrayMap(unit -> (unit, found.2[indexOf(found.1, unit)]), arrayDistinct(found.1))"
    as_map = f"CAST({first}, 'Map(LowCardinality(String), Float64)')"
    return f"arrayMap(found -> {as_map}, [{counted}])[1]"


def service_tier() -> str:
    """Return SQL for the tier that the provider says it served a call in, such as default, batch or flex."""
    in_json = ", ".join(
        f"nullIf(extract({text}, {quoted(_SERVICE_TIER)}), '')" for text in ("f_usage", "f_response")
    )
    return f"lower(coalesce(nullIf(f_service_tier, ''), {in_json}, ''))"


def _in_usages() -> str:
    """Places are data, not expressions: those are analysed at every insert, and few spans come by here."""
    paths = [(unit, *_path(place)) for unit, places in _PLACES.items() for place in places]
    units, outers, inners, names = (strings(column) for column in zip(*paths, strict=True))
    count = (
        "multiIf(outer = '', JSONExtract(json, name, 'Float64'),"
        " inner = '', JSONExtract(json, outer, name, 'Float64'),"
        " JSONExtract(json, outer, inner, name, 'Float64'))"
    )
    # of several places of one unit the greatest comes first, and counts
    counts = (
        f"arrayReverseSort(x -> x.2, arrayMap((unit, outer, inner, name) -> (unit, {count}),"
        f" [{units}], [{outers}], [{inners}], [{names}]))"
    )
    as_json = "replaceAll(t, '\\'', '\"')"
    return (
        f"arrayFlatten(arrayMap(t -> arrayMap(json -> {counts}, [{as_json}])[1],"
        f" arrayFilter(t -> match(t, {quoted(_SAYS_MORE)}), [f_usage, response.usage, response.meta.usage])))"
    )


def _path(place: str) -> tuple[str, str, str]:
    """Return the names on the way to a place: of an object, of one in it, and of the number."""
    *outer, name = place.split(".")
    first, second = [*outer, "", ""][:2]
    return first, second, name


def _searches() -> str:
    """OpenAI's: each is an item of the response; to open a page that was found costs nothing."""
    shape = "Tuple(output Array(Tuple(type String, action Tuple(type String))))"
    one = "if(startsWith(t, '['), JSONExtractRaw(t, 1), t)"
    is_billed = "o.action.type IN ('', 'search')"
    counts = ", ".join(
        f"({quoted(unit)}, toFloat64(arrayCount(o -> o.type = {quoted(item)} AND {is_billed}, items)))"
        for unit, item in _SEARCHES.items()
    )
    items = (
        f"arrayMap(t -> JSONExtract({one}, '{shape}').1,"
        " arrayFilter(t -> match(t, '(web|file)_search_call'), [f_response]))"
    )
    return f"arrayFlatten(arrayMap(items -> [{counts}], {items}))"
