"""Finds personal data and secrets in text: one scan per shape, and a checksum wherever there is one.

A text without an ``@`` is never searched for e-mail addresses, one without digits never for numbers:
most texts cost a few microseconds per kilobyte.
"""

import ipaddress
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from gnomon._recogniser_numbers import find_numbers

CLASSES: Final = ("email", "phone", "card", "iban", "ip", "secret", "inn", "snils", "passport")
"""What is recognised without any configuration; a person's name needs NER."""


class Finding(NamedTuple):
    """Where something was found, as offsets into the text, and its class."""

    start: int
    end: int
    kind: str


def find(text: str, wanted: frozenset[str]) -> list[Finding]:
    """Return what is found in a text, in order and without overlaps.

    Args:
        text: any text.
        wanted: some of `CLASSES`.
    """
    found: list[Finding] = []
    for kinds, scan in _SCANS:
        if wanted & kinds:
            found.extend(finding for finding in scan(text, wanted) if finding.kind in wanted)
    return disjoint(found) if len(found) > 1 else found


def disjoint(found: list[Finding]) -> list[Finding]:
    """Return findings in the order of the text; of two that overlap the one found first stays."""
    kept: list[Finding] = []
    for finding in found:
        # Those kept do not overlap, so only the two neighbours in the order of the text can be in the way.
        place = bisect_left(kept, finding)
        before_is_free = place == 0 or kept[place - 1].end <= finding.start
        after_is_free = place == len(kept) or kept[place].start >= finding.end
        if before_is_free and after_is_free:
            kept.insert(place, finding)
    return kept


def _scan_secrets(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    if any(prefix in text for prefix in _SECRET_PREFIXES):
        for match in _SECRET.finditer(text):
            yield Finding(*match.span(), "secret")
    if "PRIVATE KEY-----" in text:
        for match in _PEM.finditer(text):
            yield Finding(*match.span(), "secret")
    if "://" in text:
        for match in _URL_PASSWORD.finditer(text):
            yield Finding(*match.span(1), "secret")
    lowered = text.lower()
    if any(word in lowered for word in _ASSIGNED_WORDS):
        # Lower case may be longer than what it stands for ("İ"): then offsets would not fit.
        for match in _ASSIGNED.finditer(lowered if len(lowered) == len(text) else text):
            yield Finding(*match.span("value"), "secret")


def _scan_emails(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Finding(*match.span(), "email")


def _scan_ibans(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    for match in _IBAN_START.finditer(text):
        end = _end_of_iban(text, match.start(), _IBAN_CHARS.get(match[0][:2], 0))
        if end:
            yield Finding(match.start(), end, "iban")


def _end_of_iban(text: str, start: int, chars: int) -> int:
    """Return where the IBAN that starts here ends; 0 when it is none.

    ISO 13616: letters are 10 to 35, the first four characters go to the end, remainder by 97 is 1.
    """
    taken: list[str] = []
    position = start
    while len(taken) < chars and position < len(text):
        char = text[position]
        position += 1
        if char.isascii() and char.isalnum():
            taken.append(char)
        elif char not in " \u00a0-" or text[position - 2] in " -":
            return 0
    if not chars or len(taken) < chars or text[position : position + 1].isalnum():
        return 0
    digits = "".join(str(int(char, 36)) for char in taken[4:] + taken[:4])
    return position if int(digits) % 97 == 1 else 0


def _scan_addresses(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    candidates = list(_IPV4.finditer(text)) if "." in text else []
    if "::" in text or text.count(":") >= 7:
        candidates.extend(_IPV6.finditer(text))
    for match in candidates:
        if _is_a_machines_address(match[0]):
            yield Finding(*match.span(), "ip")


def _is_a_machines_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # Those that mean "this machine" or "any" say nothing about anybody.
    return not (address.is_loopback or address.is_unspecified)


def _scan_numbers(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    for start, end, kind in find_numbers(text, wanted):
        yield Finding(start, end, kind)


_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[\w](?:[\w-]{0,62}[\w])?\.){1,8}(?:xn--[\w-]{2,24}|[^\W\d_]{2,24})\b"
)
# Looked for one by one, since that takes a tenth of the time of a regular expression that is not there.
_SECRET_PREFIXES: Final = (
    *("sk-", "sk_", "pk-", "pk_", "rk_", "gnm_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("glpat-", "xox", "AKIA", "ASIA", "AIza", "hf_", "eyJ", "SG.", "ya29.", ":AA"),
)
# Prefixes that issuers document for their keys; \b first keeps the scan from trying inside of words.
_SECRET: Final = re.compile(
    r"""\b(?:
        (?:sk|pk|rk)[-_](?:[A-Za-z]+[-_])*[A-Za-z0-9_-]{16,}
      | gnm_[a-z]_[A-Za-z0-9_-]{16,}
      | (?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}
      | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | (?:AKIA|ASIA)[0-9A-Z]{16}\b
      | AIza[A-Za-z0-9_-]{30,}
      | hf_[A-Za-z0-9]{20,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
      | (?:SG\.|ya29\.)[A-Za-z0-9._-]{20,}
      | [0-9]{8,10}:AA[A-Za-z0-9_-]{32,}
    )""",
    re.VERBOSE,
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,16384}?-----END [A-Z ]{0,40}PRIVATE KEY-----", re.DOTALL
)
_URL_PASSWORD: Final = re.compile(r"://[^\s/:@]{0,256}:([^\s/@]{1,256})@")
_ASSIGNED: Final = re.compile(
    r"""(?:bearer\s+
      | (?:password|passwd|pwd|secret|token|api[_-]?key|пароль)["']?\s{0,3}[:=]\s{0,3})["']?
        (?P<value>[^\s"',;&<>\[\]]{6,4096})""",
    re.VERBOSE,
)
_ASSIGNED_WORDS: Final = ("bearer", "passw", "pwd", "secret", "token", "api", "парол")
_IBAN_START: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}[ \u00a0-]?(?=[A-Z0-9]{4})")
_IPV4: Final = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])")
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f:]{0,39}\d)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"
)

# Length by country, from the SWIFT IBAN registry.
_IBAN_CHARS: Final = {
    country: chars
    for chars, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ TL OM SO",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}

_Scan = Callable[[str, frozenset[str]], Iterator[Finding]]
# In this order: of two findings that overlap the first stays.
_SCANS: Final[tuple[tuple[frozenset[str], _Scan], ...]] = (
    (frozenset({"secret"}), _scan_secrets),
    (frozenset({"email"}), _scan_emails),
    (frozenset({"iban"}), _scan_ibans),
    (frozenset({"ip"}), _scan_addresses),
    (frozenset({"phone", "card", "inn", "snils", "passport"}), _scan_numbers),
)
