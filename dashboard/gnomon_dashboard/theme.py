"""Colours and type. Every colour of the dashboard that is not in assets/gnomon.css is here."""

from dataclasses import dataclass
from typing import Final, Literal

Scheme = Literal["light", "dark"]

FONT: Final = (
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans",'
    " Arial, sans-serif"
)
MONOSPACE: Final = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace'


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of figures in one scheme.

    `series`, taken in this order, and `good` and `bad` are told apart by people with red or green blindness
    too (a test simulates both).
    """

    text: str
    muted: str
    grid: str
    surface: str
    good: str
    bad: str
    neutral: str
    series: tuple[str, ...]
    quantiles: tuple[str, str, str]
    heat: tuple[str, str, str]
    on_series: str


LIGHT: Final = Palette(
    text="#1c2430",
    muted="#5b6675",
    grid="#e6e9ee",
    surface="#ffffff",
    good="#0b7f74",
    bad="#c8371b",
    neutral="#8a94a3",
    series=("#2563c9", "#e08a00", "#1fb0a8", "#7d2f4f", "#38457a", "#74b05e", "#8a6414", "#a88fd8"),
    quantiles=("#3aa0d0", "#2563c9", "#e08a00"),
    heat=("#dbe7fb", "#5b93f5", "#163f82"),
    on_series="#ffffff",
)
DARK: Final = Palette(
    text="#e4e8ee",
    muted="#98a3b3",
    grid="#2a313c",
    surface="#171c24",
    good="#3cc4b0",
    bad="#ff7a5c",
    neutral="#79849a",
    series=("#5b93f5", "#f5b13d", "#6fd8c4", "#d4636b", "#4b879b", "#c9baf7", "#8fcf6b", "#b0703a"),
    quantiles=("#6cc8f0", "#5b93f5", "#f5b13d"),
    heat=("#1d2a40", "#3d7bea", "#d9e6fd"),
    on_series="#0f1319",
)

MANTINE: Final[dict[str, object]] = {
    "primaryColor": "gnomon",
    "primaryShade": {"light": 7, "dark": 5},
    "fontFamily": FONT,
    "fontFamilyMonospace": MONOSPACE,
    "defaultRadius": "md",
    "cursorType": "pointer",
    "autoContrast": True,
    "colors": {
        "gnomon": [
            "#eef4ff", "#d9e6fd", "#b3ccfa", "#8ab0f6", "#6899f2",
            "#5b93f5", "#3d7bea", "#2563c9", "#1c4fa3", "#163f82",
        ],
        "dark": [
            "#e4e8ee", "#b9c2cf", "#98a3b3", "#6b7688", "#3b4453",
            "#2a313c", "#1e242e", "#171c24", "#11151b", "#0c0f14",
        ],
    },
}  # fmt: skip


def palette(scheme: Scheme) -> Palette:
    """Return the colours of a scheme."""
    return DARK if scheme == "dark" else LIGHT
