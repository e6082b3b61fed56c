"""Tells what a run of digits is: a bank card, a phone, a Russian tax, insurance or passport number.

Runs are found once; what is in one is decided by its form and by the checksum its issuer defines.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

Number = tuple[int, int, str]
"""Start, end and class."""


def find_numbers(text: str, wanted: frozenset[str]) -> Iterator[Number]:
    """Yield the numbers in ``text`` that are of a class in ``wanted``, in the order of the text."""
    for match in _RUN.finditer(text):
        run = match[0]
        if len(run) >= _FEWEST_DIGITS:
            digits = _digits(run)
            # A date has 8; only with a + can so few be a phone.
            if len(digits) >= _FEWEST_DIGITS or run[0] == "+":
                start, end = match.span()
                kind = _kind_of_whole(run, digits)
                if kind in wanted:
                    yield start, end, kind
                else:
                    yield from _in_run(text, start, end, wanted, len(digits))


def _kind_of_whole(run: str, digits: str) -> str:
    """Return what a run is as a whole, if that is plain to see: most are; else an empty string."""
    if run[0] == "+":
        return "phone" if len(digits) <= _MOST_PHONE_DIGITS and _PHONE.fullmatch(run) else ""
    is_card = len(digits) > 12 and run[:4].isdigit() and len(digits) in _card_lengths(digits)
    return "card" if is_card and is_luhn(digits) else ""


def _in_run(text: str, start: int, end: int, wanted: frozenset[str], digits: int) -> list[Number]:
    found: list[Number] = []
    for kind, fewest, find in _FINDERS:
        if digits >= fewest and kind in wanted:
            for first, last in find(text, start, end):
                if not found or all(last <= other[0] or first >= other[1] for other in found):
                    found.append((first, last, kind))
            if found and found[0][0] == start and found[0][1] == end:
                # Nearly always: a run of digits is one number, and nothing is left to look at.
                return found
    return sorted(found) if len(found) > 1 else found


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1 (Luhn)."""
    plain, doubled = digits[-1::-2].encode(), digits[-2::-2].translate(_DOUBLED).encode()
    return (sum(plain) + sum(doubled) - ord("0") * len(digits)) % 10 == 0


def is_inn(digits: str) -> bool:
    """Whether this is a Russian taxpayer number: 10 or 12 digits, of which one or two check the others."""
    if len(digits) == 10:
        return _inn_digit(digits[:9]) == digits[9]
    return len(digits) == 12 and _inn_digit(digits[:10]) + _inn_digit(digits[:11]) == digits[10:]


def is_snils(digits: str) -> bool:
    """Whether this is a Russian insurance number: 9 digits and a check number of two."""
    if len(digits) != 11 or digits == "00000000000":
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:9], range(9, 0, -1), strict=True))
    return total % 101 % 100 == int(digits[9:])


def _inn_digit(digits: str) -> str:
    # Weights as the tax service defines them: the same row, taken from its end.
    weights = _INN_WEIGHTS[-len(digits) :]
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return str(total % 11 % 10)


def _snils(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _SNILS.finditer(text, start, end):
        digits = _digits(match[0])
        if is_snils(digits) and (match[0] != digits or not _PHONE_LIKE.match(digits)):
            yield match.span()


def _cards(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _CARD_START.finditer(text, start, end):
        places = [place for place in range(match.start(), end) if text[place].isdigit()][:20]
        digits = _digits(text[match.start() : end])[:20]
        for length in _card_lengths(digits):
            whole = len(digits) == length or (
                len(digits) > length and places[length] > places[length - 1] + 1
            )
            if whole and is_luhn(digits[:length]):
                yield match.start(), places[length - 1] + 1
                break


def _card_lengths(digits: str) -> tuple[int, ...]:
    """Lengths that the issuer of a card with these first digits uses, the longest first."""
    two, four = digits[:2], int(digits[:4] or 0)
    if digits[0] == "4":
        return 19, 16, 13
    if 2200 <= four <= 2204 or two in ("62", "64", "65", "60", "81"):
        return 19, 18, 17, 16
    if 51 <= int(two) <= 55 or 2221 <= four <= 2720 or two in ("35", "67", "63", "50"):
        return 16, 18, 19
    return {"34": (15,), "37": (15,), "30": (14,), "36": (14,), "38": (14,)}.get(two, ())


def _passports(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _PASSPORT.finditer(text, start, end):
        # No check digit: either it is written as passports are, or the word stands before it.
        if match["spaced"] or _PASSPORT_WORD.search(text, max(start - _CONTEXT_CHARS, 0), match.start()):
            yield match.span()


def _phones(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text, start, end):
        if 8 <= len(_digits(match[0])) <= _MOST_PHONE_DIGITS:
            yield match.span()


def _inns(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _INN.finditer(text, start, end):
        if is_inn(match[0]) and match[0][:2] != "00":
            yield match.span()


def _digits(text: str) -> str:
    return text.translate(_NO_SEPARATORS)


_FEWEST_DIGITS: Final = 10
_MOST_PHONE_DIGITS: Final = 15
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")
"""Twice a digit, or the sum of the two digits of that."""
_NO_SEPARATORS: Final = str.maketrans("", "", "+ \u00a0.()№–-")
"""Takes away all that may stand between the digits of a run: see `_RUN`."""
_CONTEXT_CHARS: Final = 40
_INN_WEIGHTS: Final = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_RUN: Final = re.compile(r"(?<![\w-])[+(]{0,2}[0-9](?:[ \u00a0.()№–-]{0,3}[0-9])*+(?!\w)")
_SNILS: Final = re.compile(r"(?<![0-9])[0-9]{3}(?:[- ][0-9]{3}[- ][0-9]{3}[- ]?[0-9]{2}|[0-9]{8})(?![0-9])")
_PHONE_LIKE: Final = re.compile(r"[78][3489]")
_CARD_START: Final = re.compile(r"(?<![0-9])(?<![0-9]\.)[2-68][0-9]{3}")
_PASSPORT: Final = re.compile(
    r"(?<![0-9+])(?:(?P<spaced>[0-9]{2} [0-9]{2} [0-9]{6}|[0-9]{2} ?[0-9]{2} ?№ ?[0-9]{6})"
    r"|[0-9]{4} ?[0-9]{6})(?![0-9])"
)
_PASSPORT_WORD: Final = re.compile(r"паспорт|passport|серия", re.IGNORECASE)
_S: Final = r"[ \u00a0.–-]?"
_PHONE: Final = re.compile(
    rf"""(?<![0-9])(?<![0-9]\.)(?:
        \+[0-9]{{1,3}}{_S}\(?[0-9]{{1,4}}\)?(?:[ \u00a0.()–-]{{0,2}}[0-9]){{4,11}}
      | [78]{_S}\(?[3489][0-9]{{2}}\)?(?:{_S}[0-9]){{7}}
      | \(?9[0-9]{{2}}\)?[ -][0-9]{{3}}[ -][0-9]{{2}}[ -]?[0-9]{{2}}
      | \(?[2-9][0-9]{{2}}\)?[ .-][2-9][0-9]{{2}}[ .-][0-9]{{4}}
    )(?![0-9])""",
    re.VERBOSE,
)
_INN: Final = re.compile(r"(?<![0-9.–-])(?:[0-9]{12}|[0-9]{10})(?![0-9])")

_Find = Callable[[str, int, int], Iterator[tuple[int, int]]]
# In this order: what has a checksum and a form of its own comes before what has only a form.
_FINDERS: Final[tuple[tuple[str, int, _Find], ...]] = (
    ("snils", 11, _snils),
    ("card", 13, _cards),
    ("passport", 10, _passports),
    ("phone", 8, _phones),
    ("inn", 10, _inns),
)
"""Class, fewest digits it has, and what finds it."""
