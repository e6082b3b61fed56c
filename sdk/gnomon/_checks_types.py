"""What a check is and what it says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gnomon._errors import GnomonError

Feed = Callable[[str], str]
"""Takes the next piece of a streamed text; returns why the whole fails already, "" while it may pass."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says of one text.

    Attributes:
        passed: None when the check could not be run: that is no failure.
        detail: why not, without quoting the text.
        value: 0 (bad) to 1 (good), where there is more to say than passed or not.
    """

    passed: bool | None
    detail: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A named question to a text; `gnomon.checks` makes them.

    Attributes:
        name: of the score.
        run: the check of a whole text; may return an awaitable, for `gnomon.acheck`.
        feed: makes the state that follows a stream, where that can be done.
        author: who judges, when it is not Gnomon.
    """

    name: str
    run: Callable[[str], Verdict | Awaitable[Verdict]]
    feed: Callable[[], Feed] | None = None
    author: str = "gnomon.check"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said, as it was recorded."""

    name: str
    passed: bool | None
    detail: str
    value: float | None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What all checks said; true when none failed."""

    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; one that could not be run did not fail."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.passed is False)

    def __bool__(self) -> bool:
        return self.passed


class CheckFailedError(GnomonError):
    """An answer failed a check, and whoever asked for the check asked for this.

    Attributes:
        result: what all checks said.
        answer: what was checked.
        cause: ``check:<name>``, for charts.
    """

    def __init__(self, result: CheckResult, answer: Any = None) -> None:
        self.result = result
        self.answer = answer
        self.cause = f"check:{result.failed[0]}" if result.failed else "check"
        details = "; ".join(
            f"{outcome.name}: {outcome.detail or 'failed'}"
            for outcome in result.outcomes
            if outcome.passed is False
        )
        super().__init__(f"the answer failed a check: {details}")
