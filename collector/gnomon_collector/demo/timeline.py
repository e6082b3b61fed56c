"""What happened when in the simulated days: traffic, a release, a change of model, an incident."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Final, Self

INCIDENT_LENGTH: Final = timedelta(minutes=40)
_CONVERSATIONS_AT_PEAK: Final = 46.0
_CONVERSATIONS_AT_NIGHT: Final = 4.0
_PEAK_HOUR: Final = 14.0
_WEEKEND_FACTOR: Final = 0.55


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the world is at one moment."""

    release: str
    prompt_version: str
    chat_model: str
    error_rate: float
    latency_factor: float
    is_substituted: bool = False
    """Whether the provider lets another model answer, see `substitution`."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The story told by the history; every moment is aware and in UTC.

    `released_at` brings release 2.4.0 with prompt v4, `model_changed_at` moves the chat from
    gpt-4o-mini to gpt-4.1-mini; from `substituted_at` on the provider answers for that one with another.
    `reworded_at` brings prompt v5, which makes promises up.
    """

    begins: datetime
    ends: datetime
    released_at: datetime
    model_changed_at: datetime
    substituted_at: datetime
    reworded_at: datetime
    incident_begins: datetime

    @classmethod
    def until(cls, now: datetime, days: int) -> Self:
        """The `days` days before `now`.

        All moments hang on the day of `now`, not on its time, so that asking twice in one day tells
        the same story.

        Raises:
            ValueError: `days` is below 1, or `now` has no time zone.
        """
        if days < 1:
            raise ValueError(f"history takes at least 1 day, not {days}")
        if now.tzinfo is None:
            raise ValueError("history needs a time with a time zone: datetime.now(UTC)")
        midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        begins = midnight - timedelta(days=days)
        return cls(
            begins=begins,
            ends=now.astimezone(UTC),
            released_at=begins + timedelta(days=days // 2, hours=9),
            model_changed_at=begins + timedelta(days=days * 5 // 8, hours=16),
            substituted_at=begins + timedelta(days=days * 3 // 4, hours=10),
            reworded_at=begins + timedelta(days=days * 6 // 7, hours=8),
            incident_begins=midnight - timedelta(days=min(2, days)) + timedelta(hours=14, minutes=10),
        )

    def in_incident(self, moment: datetime) -> bool:
        return self.incident_begins <= moment < self.incident_begins + INCIDENT_LENGTH

    def conditions(self, moment: datetime) -> Conditions:
        """Release, prompt, model, share of failing calls and slowness at `moment`."""
        released, incident = moment >= self.released_at, self.in_incident(moment)
        return Conditions(
            release="2.4.0" if released else "2.3.1",
            prompt_version="v5" if moment >= self.reworded_at else "v4" if released else "v3",
            chat_model="gpt-4.1-mini" if moment >= self.model_changed_at else "gpt-4o-mini",
            error_rate=0.55 if incident else 0.012,
            latency_factor=4.5 if incident else 1.0,
            is_substituted=moment >= self.substituted_at,
        )


def conversations_per_hour(moment: datetime) -> float:
    """Mean conversations an hour at `moment` (UTC): a smooth day with its peak in the afternoon."""
    hour = moment.hour + moment.minute / 60
    daylight = (1 + math.cos((hour - _PEAK_HOUR) / 24 * math.tau)) / 2
    rate: float = _CONVERSATIONS_AT_NIGHT + (_CONVERSATIONS_AT_PEAK - _CONVERSATIONS_AT_NIGHT) * daylight**1.5
    return rate * (_WEEKEND_FACTOR if moment.weekday() >= 5 else 1.0)


def draw_starts(hour: datetime, rng: Random) -> list[datetime]:
    """When conversations begin within the hour from `hour` on: a Poisson process, in order."""
    starts = []
    at_h = rng.expovariate(conversations_per_hour(hour))
    while at_h < 1:
        starts.append(hour + timedelta(hours=at_h))
        at_h += rng.expovariate(conversations_per_hour(hour))
    return starts
