"""How the stand-in provider fails: which faults exist, when they strike, and what they answer."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """One way a request fails; the values are the model names that force it, after `err-`."""

    RATE_LIMIT = "429"
    RATE_LIMIT_ONCE = "429-once"
    """Refuses the first try and answers the client's own retry."""
    SERVER_ERROR = "500"
    CONTEXT_LENGTH = "400"
    BAD_KEY = "401"
    NO_MODEL = "404"
    TIMEOUT = "timeout"
    """Holds the answer back for `HANG_S`, then says 504."""
    MIDSTREAM = "midstream"
    """An error event after some chunks; 500 where nothing is streamed."""
    CUT = "cut"
    """The connection breaks after some chunks; 500 where nothing is streamed."""


HANG_S: Final = 2.5
"""How long a hanging request is held at latency scale 1."""

_PREFIX: Final = "err-"
_DRAWN: Final = {
    Fault.RATE_LIMIT: 9,
    Fault.SERVER_ERROR: 5,
    Fault.MIDSTREAM: 2,
    Fault.TIMEOUT: 2,
    Fault.CUT: 1,
    Fault.CONTEXT_LENGTH: 1,
}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The HTTP answer of a fault, in OpenAI's shape."""

    status: int
    message: str
    type: str
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        return {"error": {"message": self.message, "type": self.type, "param": None, "code": self.code}}


_SERVER_ERROR: Final = ErrorAnswer(
    500, "The server had an error while processing your request. Sorry about that!", "server_error"
)
_ANSWERS: Final = {
    Fault.CONTEXT_LENGTH: ErrorAnswer(
        400,
        "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    Fault.BAD_KEY: ErrorAnswer(
        401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"
    ),
    Fault.NO_MODEL: ErrorAnswer(
        404,
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    Fault.TIMEOUT: ErrorAnswer(504, "The request timed out.", "server_error"),
}


def forced_fault(model: str) -> Fault | None:
    """The fault that a model name such as `err-429` asks for."""
    if not model.startswith(_PREFIX):
        return None
    try:
        return Fault(model.removeprefix(_PREFIX))
    except ValueError:
        return None


def draw_fault(rng: Random, error_rate: float) -> Fault | None:
    """A random fault with probability `error_rate`, rate limits most often."""
    if rng.random() >= error_rate:
        return None
    return rng.choices(tuple(_DRAWN), weights=tuple(_DRAWN.values()))[0]


def error_answer(fault: Fault, retry_after_ms: int) -> ErrorAnswer:
    """What the provider answers for `fault`; rate limits say to come back in `retry_after_ms`."""
    if fault in (Fault.RATE_LIMIT, Fault.RATE_LIMIT_ONCE):
        return _rate_limit(retry_after_ms)
    return _ANSWERS.get(fault, _SERVER_ERROR)


def _rate_limit(retry_after_ms: int) -> ErrorAnswer:
    # Whole seconds are what the HTTP header can say; OpenAI's client prefers the milliseconds.
    headers = {"retry-after": str(-(-retry_after_ms // 1000)), "retry-after-ms": str(retry_after_ms)}
    return ErrorAnswer(
        429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded", headers=headers
    )
