"""Gnomon's SDK: see what a service does with LLMs, with one line.

>>> import gnomon
>>> gnomon.init(service_name="shop-assistant")

From then on every call of an instrumented LLM library is sent to a Gnomon collector, in the
background. Nothing here raises into the service that carries it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from gnomon._feedback import feedback
from gnomon._lifecycle import flush, init, shutdown, stats
from gnomon._observe import observe
from gnomon._session import carry, session
from gnomon._span import current_trace_id, span
from gnomon._stats import Stats

if TYPE_CHECKING:
    from gnomon import checks
    from gnomon._checks import acheck, check, guard
    from gnomon._checks_stream import check_stream
    from gnomon._checks_types import CheckFailedError
    from gnomon._fallback import fallback
    from gnomon._masking import Masking
    from gnomon._retries import attempt, retrying

__all__ = [
    "CheckFailedError",
    "Masking",
    "Stats",
    "acheck",
    "attempt",
    "carry",
    "check",
    "check_stream",
    "checks",
    "current_trace_id",
    "fallback",
    "feedback",
    "flush",
    "guard",
    "init",
    "observe",
    "retrying",
    "session",
    "shutdown",
    "span",
    "stats",
]


# What a service may not use is imported when it is first asked for: `import gnomon` stays fast.
_LATER: Final = {
    "CheckFailedError": "gnomon._checks_types",
    "Masking": "gnomon._masking",
    "acheck": "gnomon._checks",
    "attempt": "gnomon._retries",
    "check": "gnomon._checks",
    "check_stream": "gnomon._checks_stream",
    "fallback": "gnomon._fallback",
    "guard": "gnomon._checks",
    "retrying": "gnomon._retries",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name == "checks":
        return import_module("gnomon.checks")
    if name == "__version__":
        from gnomon._version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
