"""What settings are parsed with: functions that raise ValueError and say in it what they take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


def parse_pairs(text: str) -> dict[str, str]:
    """Parse ``a=1,b=two%20words`` as OpenTelemetry writes headers and resource attributes."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}


def parse_bool(value: object) -> bool:
    """Parse a boolean; raises ValueError for anything else than true/false words."""
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def parse_text(value: object) -> str | None:
    """Parse text; blank is None."""
    text = str(value).strip()
    return text or None


def as_given(value: object) -> object:
    """Take a value as it is."""
    return value


def parse_secret(value: object) -> str | None:
    """Parse text that goes into a header."""
    text = parse_text(value)
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII without line breaks")
    return text


def parse_url(value: object) -> str:
    """Parse a base URL; the slash at its end is dropped."""
    url = str(value).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as http://127.0.0.1:4318")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password: use GNOMON_API_KEY or GNOMON_HEADERS")
    if parts.port == 0:
        raise ValueError("has port 0")
    return url


def parse_headers(value: object) -> dict[str, str]:
    """Parse request headers, from a mapping or ``name=value,…``."""
    pairs = dict(value) if isinstance(value, Mapping) else parse_pairs(str(value))
    if any(parse_secret(f"{name}={content}") is None for name, content in pairs.items()):
        raise ValueError("must be name=value pairs separated by commas")
    return {str(name): str(content) for name, content in pairs.items()}


def parse_instrument(value: object) -> tuple[str, ...]:
    """Parse library names: a list, ``a,b``, ``auto`` or ``none``."""
    if value is False:
        return ()
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple | set | frozenset):
        raise ValueError('must be "auto", "none" or a list of library names such as openai')
    names = tuple(str(word).strip().lower() for word in words if str(word).strip())
    return () if names == ("none",) else names


def one_of(*choices: str) -> Callable[[object], str]:
    """Return a parser that takes only these words."""

    def parse(value: object) -> str:
        word = str(value).strip().lower()
        if word not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return word

    return parse


def at_least(minimum: int) -> Callable[[object], int]:
    """Return a parser of whole numbers from ``minimum`` on."""

    def parse(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError(f"must be a whole number of at least {minimum}") from None
        if number < minimum:
            raise ValueError(f"must be at least {minimum}")
        return number

    return parse


def parse_seconds(value: object) -> float:
    """Parse a number of seconds."""
    try:
        seconds = float(str(value))
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= seconds < 86_400:
        raise ValueError("must be between 0 and 86400 seconds")
    return seconds


def parse_share(value: object) -> float:
    """Parse a share from 0 to 1."""
    try:
        share = float(str(value))
    except ValueError:
        raise ValueError("must be a number from 0 to 1") from None
    if not 0 <= share <= 1:
        raise ValueError("must be between 0 and 1")
    return share


def parse_protocol(value: object) -> str:
    """Parse a protocol by our names or OpenTelemetry's."""
    word = str(value).strip().lower()
    # Over HTTP Gnomon sends protobuf; a collector that takes OTLP's JSON takes that, too.
    word = {"http/protobuf": "http", "http/json": "http"}.get(word, word)
    if word not in ("http", "grpc"):
        raise ValueError("must be http or grpc")
    return word


@dataclass(frozen=True, slots=True)
class Source:
    """One environment variable a setting may come from.

    ``key`` picks one entry of a ``key=value,…`` list; ``inverted`` negates a boolean.
    """

    variable: str
    key: str = ""
    inverted: bool = False

    def read(self, environ: Mapping[str, str]) -> str | None:
        """Return the text found, or None when it is absent or blank."""
        text = environ.get(self.variable, "").strip()
        if self.key:
            text = parse_pairs(text).get(self.key, "")
        return (str(not parse_bool(text)) if self.inverted else text) if text else None
