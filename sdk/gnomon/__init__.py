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
    from gnomon._baggage import continued, headers
    from gnomon._cache import cache
    from gnomon._cache_shadow import Shadow
    from gnomon._checks import acheck, check, guard
    from gnomon._checks_stream import check_stream
    from gnomon._checks_types import CheckFailedError
    from gnomon._fallback import fallback, observe_fallbacks
    from gnomon._limits import allow
    from gnomon._llm_call import llm_call
    from gnomon._masking import Masking
    from gnomon._prompt import prompt
    from gnomon._retries import attempt, retrying
    from gnomon._retrieval import retrieval
    from gnomon._steps import agent, tool

__all__ = [
    "CheckFailedError",
    "Masking",
    "Shadow",
    "Stats",
    "acheck",
    "agent",
    "allow",
    "attempt",
    "cache",
    "carry",
    "check",
    "check_stream",
    "checks",
    "continued",
    "current_trace_id",
    "fallback",
    "feedback",
    "flush",
    "guard",
    "headers",
    "init",
    "llm_call",
    "observe",
    "observe_fallbacks",
    "prompt",
    "retrieval",
    "retrying",
    "session",
    "shutdown",
    "span",
    "stats",
    "tool",
]


# What a service may not use is imported when it is first asked for: `import gnomon` stays fast.
_LATER: Final = {
    "CheckFailedError": "gnomon._checks_types",
    "Masking": "gnomon._masking",
    "Shadow": "gnomon._cache_shadow",
    "acheck": "gnomon._checks",
    "allow": "gnomon._limits",
    "agent": "gnomon._steps",
    "attempt": "gnomon._retries",
    "cache": "gnomon._cache",
    "check": "gnomon._checks",
    "check_stream": "gnomon._checks_stream",
    "continued": "gnomon._baggage",
    "fallback": "gnomon._fallback",
    "headers": "gnomon._baggage",
    "llm_call": "gnomon._llm_call",
    "prompt": "gnomon._prompt",
    "retrieval": "gnomon._retrieval",
    "tool": "gnomon._steps",
    "guard": "gnomon._checks",
    "observe_fallbacks": "gnomon._fallback",
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
