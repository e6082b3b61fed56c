"""What keeps Gnomon's own faults away from the service that carries it."""

import logging
from types import TracebackType
from typing import Final

from gnomon._errors import GnomonError

logger: Final = logging.getLogger("gnomon")


class Guard:
    """Swallows, counts and logs once what goes wrong inside Gnomon; raises it under test.

    Attributes:
        raising: when True nothing is swallowed (`gnomon.testing` sets it).
        errors: how many faults were swallowed.
        last_error: what the last one said, without any captured content; None when there was none.
    """

    def __init__(self) -> None:
        self.raising = False
        self.errors = 0
        self.last_error: str | None = None
        self._logged: set[str] = set()

    def harmless(self, action: str) -> "Harmless":
        """Return a context manager inside which an Exception never gets out."""
        return Harmless(self, action)

    def report(self, action: str, error: Exception) -> None:
        """Take note of a fault; raises it again under test."""
        if self.raising:
            raise error
        self.note(f"{action}: {type(error).__name__}")
        self.warn_once(
            f"{action}/{type(error).__name__}",
            f"gnomon: {action} failed: {_reason(error)}; the service is not affected",
        )

    def note(self, problem: str) -> None:
        """Count a fault and remember what it said."""
        self.errors += 1
        self.last_error = problem

    def warn_once(self, cause: str, message: str) -> None:
        """Log a warning the first time this cause is seen, and at debug level from then on."""
        first = cause not in self._logged
        self._logged.add(cause)
        logger.log(logging.WARNING if first else logging.DEBUG, message)

    def forget_warning(self, cause: str) -> None:
        """Let the next warning of this cause be seen again, because it was over in between."""
        self._logged.discard(cause)


class Harmless:
    """Context manager made by `Guard.harmless`."""

    __slots__ = ("_action", "_guard")

    def __init__(self, guard: Guard, action: str) -> None:
        self._guard = guard
        self._action = action

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or self._guard.raising:
            return False
        self._guard.report(self._action, error)
        return True


def _reason(error: Exception) -> str:
    # Only types and places are logged: a foreign exception's text may quote a prompt or a key.
    return str(error) if isinstance(error, GnomonError) else f"{type(error).__name__}{_place(error)}"


def _place(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f" ({frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno})" if frame else ""
