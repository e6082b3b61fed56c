"""Gnomon's SDK: see what a service does with LLMs, with one line.

>>> import gnomon
>>> gnomon.init(service_name="shop-assistant")

From then on every call of an instrumented LLM library is sent to a Gnomon collector, in the
background. Nothing here raises into the service that carries it.
"""

from gnomon._feedback import feedback
from gnomon._lifecycle import flush, init, shutdown, stats
from gnomon._observe import observe
from gnomon._session import carry, session
from gnomon._span import current_trace_id, span
from gnomon._stats import Stats

__all__ = [
    "Stats",
    "carry",
    "current_trace_id",
    "feedback",
    "flush",
    "init",
    "observe",
    "session",
    "shutdown",
    "span",
    "stats",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from gnomon._version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
