"""SQL that reads a language, a refusal or a broken format off a call's text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gnomon_schemas.sqltext import quoted, strings

_READ_CHARS: Final = 400
"""How much of a text is looked at: its beginning tells, and a long one must not cost more."""

FUNCTION_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("the", "is", "and", "you", "to", "of", "my", "can", "do", "how", "what", "it", "for", "i", "does", "are"),
    "de": ("der", "die", "das", "und", "ich", "ist", "nicht", "wie", "ein", "eine", "mein", "kann", "was", "wo", "zu", "ihr"),
    "fr": ("le", "la", "les", "et", "je", "est", "pas", "vous", "une", "des", "mon", "que", "pour", "où", "du", "ma"),
    "es": ("el", "los", "las", "y", "es", "por", "una", "que", "mi", "cómo", "para", "con", "puedo", "dónde", "qué", "del"),
    "it": ("il", "gli", "è", "e", "non", "che", "una", "mio", "per", "come", "posso", "dove", "con", "sono", "della", "di"),
    "pt": ("o", "os", "não", "é", "e", "uma", "meu", "para", "como", "posso", "onde", "com", "que", "você", "da", "do"),
    "nl": ("de", "het", "een", "en", "ik", "niet", "mijn", "hoe", "wat", "kan", "waar", "je", "van", "voor", "dat", "op"),
    "pl": ("nie", "jest", "to", "na", "jak", "czy", "się", "moje", "mogę", "gdzie", "co", "dla", "i", "w", "z", "do"),
}  # fmt: skip
"""Frequent short words of languages that share the Latin script."""

REFUSAL_OPENINGS: Final = (
    r"i(?:'m| am)? (?:really |very |so )?(?:sorry|afraid)[^.!?\n]{0,40}\b(?:can(?:no|')t|can not|unable|not able|won't|not allowed|not permitted)",
    r"(?:sorry|unfortunately|regrettably|apologies)?[,;: ]*(?:but )?i (?:can(?:no|')t|can not|won't|am unable to|am not able to|must decline|have to decline) (?:help|assist|answer|provide|do|comply|share|discuss|fulfil|create|generate|give|continue|with)",
    r"i'm (?:unable|not able) to (?:help|assist|answer|provide|do|comply|share|discuss|fulfil|create|generate|give)",
    r"as an ai\b[^.!?\n]{0,60}\b(?:can(?:no|')t|can not|unable|not able)",
    r"(?:es )?tut mir leid[^.!?\n]{0,50}\b(?:kann|darf)\b[^.!?\n]{0,60}\bnicht\b",
    r"(?:leider )?(?:kann|darf) ich[^.!?\n]{0,60}\bnicht\b[^.!?\n]{0,30}\b(?:helfen|beantworten|sagen|geben|weiterhelfen|unterstützen)",
    r"(?:je suis )?désolé[^.!?\n]{0,40}\bje ne (?:peux|puis)\b",
    r"lo siento[^.!?\n]{0,40}\bno puedo\b",
    r"mi dispiace[^.!?\n]{0,40}\bnon posso\b",
    r"(?:извините|простите|к сожалению)[^.!?\n]{0,50}\bя? ?не (?:могу|можем)",
    r"я не могу (?:помочь|ответить|предоставить|обсуждать|выполнить)",
)  # fmt: skip
"""How answers begin that decline to answer; case does not matter."""

_TYPOGRAPHIC: Final = "replaceAll(substringUTF8(output_text, 1, 300), '’', '\\'')"
_OPENING: Final = r"(?i)^\W*(?:" + "|".join(REFUSAL_OPENINGS) + ")"
_JSON_WANTED: Final = (
    "match(attributes['gen_ai.output.type'], '^json')"
    " OR match(attributes['llm.invocation_parameters'], '\"(json_object|json_schema)\"')"
    " OR match(attributes['gen_ai.request.response_format'], 'json')"
    " OR match(attributes['mlflow.spanInputs'], '\"type\": ?\"(json_object|json_schema)\"')"
)


def _latin_language(text: str) -> str:
    """SQL for the language with most function words in a text; 'latin' where too few tell."""
    words = f"splitByNonAlpha(lowerUTF8(substringUTF8({text}, 1, {_READ_CHARS})))"
    counts = ", ".join(
        f"arrayCount(w -> w IN ({strings(known)}), words)" for known in FUNCTION_WORDS.values()
    )
    best = f"arraySort(x -> -x.1, arrayZip([{counts}], [{strings(FUNCTION_WORDS)}]))[1]"
    return f"arrayMap(words -> arrayMap(best -> if(best.1 >= 2, best.2, 'latin'), [{best}])[1], [{words}])[1]"


LANGUAGE: Final = (
    f"multiIf(input_text = '', '', language != '', toString(language), {_latin_language('input_text')})"
)
"""Two letters; 'latin' for a text in Latin script that is too short to tell."""

REFUSAL: Final = (
    "multiIf(status != 'ok' OR finish_reason = 'tool_call', '',"
    " finish_reason = 'content_filter', 'refused', output_text = '', '',"
    f" match({_TYPOGRAPHIC}, {quoted(_OPENING)}), 'refused', 'answered')"
)
"""``refused`` or ``answered``; '' where there is no answer to read."""

FORMAT: Final = (
    "multiIf(status != 'ok' OR finish_reason = 'tool_call', '', finish_reason = 'length', 'cut off',"
    " output_text = '' AND output_tokens = 0, 'empty', output_text = '', '',"
    f" ({_JSON_WANTED}) AND NOT isValidJSON(trim(BOTH ' \\n' FROM output_text)), 'invalid JSON', 'fine')"
)
"""``fine``, ``cut off``, ``empty`` or ``invalid JSON``; '' where there is no answer to read."""
