"""The language of a text, told in SQL at ingest: by its script, and for Latin script by its commonest words.

Cheap rather than clever: the first words of a text are looked up in one table, which gives for each word the
languages it is common in, packed into one number with some bits for each language. The sum over the words has
all counts at once. A text that gives too little to go by has no language.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from gnomon_schemas.sqltext import quoted, strings

LATIN: Final = (
    *("en", "de", "fr", "es", "pt", "it", "nl", "sv"),
    *("da", "pl", "cs", "ro", "tr", "fi", "hu", "id"),
)
"""Languages in Latin script that are told apart."""

SCRIPTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    *(
        ("Ѐ", "ӿ", letters, code)
        for letters, code in (("ўЎ", "be"), ("іїєґІЇЄҐ", "uk"), ("ђјљњћџ", "sr"), ("", "ru"))
    ),
    *(("؀", "ۿ", letters, code) for letters, code in (("پچژگ", "fa"), ("", "ar"))),
    ("Ͱ", "Ͽ", "", "el"),
    ("\u0590", "\u05ff", "", "he"),
    ("\u0530", "\u058f", "", "hy"),
    ("\u0900", "\u097f", "", "hi"),
    ("\u0980", "\u09ff", "", "bn"),
    ("\u0b80", "\u0bff", "", "ta"),
    ("\u0e00", "\u0e7f", "", "th"),
    ("\u10a0", "\u10ff", "", "ka"),
    ("\u3040", "\u30ff", "", "ja"),
    ("\uac00", "\ud7af", "", "ko"),
)
"""First and last letter of a script, letters that only this language of it has, language. The first fits."""

_LETTERS: Final[Mapping[str, str]] = {
    "ñ¿¡": "es",
    "ãõ": "pt",
    "ß": "de",
    "œùû": "fr",
    "łąęśżź": "pl",
    "řěů": "cs",
    "țșă": "ro",
    "ığş": "tr",
    "őű": "hu",
    "ø": "da",
    "å": "sv",
}
"""Letters that speak for a language, as one word more."""

_MAX_BYTES: Final = 400
_TELLING_BYTES: Final = 30
_MAX_WORDS: Final = 40
_BITS: Final = 8
_LANGUAGES_A_NUMBER: Final = 8
_SHARED_WORD: Final = 1
_OWN_WORD: Final = 2
_LEAST_SCORE: Final = 3
# A text of another script has more than one letter in six that is not ASCII: an English question may quote a
# Russian word.
_SCRIPT_SHARE: Final = 6
_OTHER_SCRIPT: Final = r"[\x{0370}-\x{1FFF}\x{3040}-\x{D7AF}]"
_HAN: Final = ("\u4e00", "\u9fff")
_KANA: Final = r"[\x{3040}-\x{30FF}]"


def call_language(input_text: str, output_text: str) -> str:
    """Return SQL for the language of what a user asked; with the answer, where the question is too short."""
    both = f"concat({input_text}, ' ', {output_text})"
    return language(f"if(length({input_text}) >= {_TELLING_BYTES}, {input_text}, {both})")


def language(text: str) -> str:
    """Return SQL for the language of a text: two letters (ISO 639-1), empty when it cannot be told."""
    letter = (
        f"if((length(t) - lengthUTF8(t)) * {_SCRIPT_SHARE} < lengthUTF8(t), '',"
        f" extract(t, {quoted(_OTHER_SCRIPT)}))"
    )
    told = f"arrayMap(c -> if(c = '', {_latin('t')}, {_by_letter('t')}), [{letter}])[1]"
    return f"arrayMap(t -> {told}, [substring({text}, 1, {_MAX_BYTES})])[1]"


def _by_letter(text: str) -> str:
    """SQL for the language that `c`, the first letter of another script, decides on."""
    plain = {(first, last): code for first, last, letters, code in SCRIPTS if not letters} | {_HAN: "zh"}
    # the order of UTF-8 is that of the code points
    script = (
        f"[{strings(plain.values())}][arrayFirstIndex((first, last) -> c >= first AND c <= last,"
        f" [{strings(first for first, _ in plain)}], [{strings(last for _, last in plain)}])]"
    )
    own = ", ".join(
        f"script = {quoted(plain[first, last])} AND multiSearchAny({text}, [{strings(letters)}]),"
        f" {quoted(code)}"
        for first, last, letters, code in SCRIPTS
        if letters
    )
    kana = f"script = 'zh' AND match({text}, {quoted(_KANA)}), 'ja'"
    return f"arrayMap(script -> multiIf({own}, {kana}, script), [{script}])[1]"


def _latin(text: str) -> str:
    """SQL for a language in Latin script: the one with the highest score, if it is high enough and alone."""
    hints = f"arrayConcat({_word_hints(text)}, {_letter_hints(text)})"
    halves = ", ".join(
        f"arraySum(hint -> [{', '.join(_packed(languages, half) for languages in _hints())}][hint], hints)"
        for half in range(len(LATIN) // _LANGUAGES_A_NUMBER)
    )
    scores = (
        f"arrayFlatten(arrayMap(sum -> arrayMap(at -> bitAnd(bitShiftRight(sum, at * {_BITS}),"
        f" {2**_BITS - 1}), range({_LANGUAGES_A_NUMBER})), arrayMap(hints -> [{halves}], [{hints}])[1]))"
    )
    return (
        f"arrayMap(scores -> if(arrayMax(scores) >= {_LEAST_SCORE}"
        " AND arrayCount(score -> score = arrayMax(scores), scores) = 1,"
        f" [{strings(LATIN)}][indexOf(scores, arrayMax(scores))], ''), [{scores}])[1]"
    )


def _word_hints(text: str) -> str:
    numbers = {word: _hints().index(languages) + 1 for word, languages in common_words().items()}
    words = f"arraySlice(splitByNonAlpha(lowerUTF8({text})), 1, {_MAX_WORDS})"
    return f"arrayFilter(hint -> hint > 0, arrayMap(word -> {_numbered('word', numbers)}, {words}))"


def _letter_hints(text: str) -> str:
    numbers = {
        letter: _hints().index((code,)) + 1 for letters, code in _LETTERS.items() for letter in letters
    }
    found = f"extractAll({text}, {quoted('[' + ''.join(numbers) + ']')})"
    hints = f"arrayDistinct(arrayMap(letter -> {_numbered('letter', numbers)}, {found}))"
    return f"if(length({text}) = lengthUTF8({text}), [], {hints})"


def _numbered(text: str, numbers: Mapping[str, int]) -> str:
    return f"transform({text}, [{strings(numbers)}], [{', '.join(map(str, numbers.values()))}], 0)"


@cache
def _hints() -> tuple[tuple[str, ...], ...]:
    """Return which languages a word may speak for, each set of them once: a hint is its number, from 1."""
    return tuple(sorted({*common_words().values(), *((code,) for code in _LETTERS.values())}))


def _packed(languages: tuple[str, ...], half: int) -> str:
    """Return what a hint at some languages adds to the scores of one half of `LATIN`, packed in a number."""
    score = _OWN_WORD if len(languages) == 1 else _SHARED_WORD
    return str(sum(score << _shift(code) for code in languages if _half(code) == half))


def _half(code: str) -> int:
    return LATIN.index(code) // _LANGUAGES_A_NUMBER


def _shift(code: str) -> int:
    return LATIN.index(code) % _LANGUAGES_A_NUMBER * _BITS


@cache
def common_words() -> Mapping[str, tuple[str, ...]]:
    """Return the languages in which a word is common, by word: the file ``common_words.txt``."""
    text = (files("gnomon_schemas") / "common_words.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            code, _, words = line.partition(": ")
            for word in words.split():
                found[word] = (*found.get(word, ()), code)
    return found
