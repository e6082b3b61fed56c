"""Projects of Gnomon's own: what it asks models itself, kept apart from what services send."""

from __future__ import annotations

from typing import Final

JUDGE_PROJECT: Final = "gnomon-judge"
CANARY_PROJECT: Final = "gnomon-canary"
OWN_PROJECTS: Final = (JUDGE_PROJECT, CANARY_PROJECT)
