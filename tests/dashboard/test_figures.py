from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gnomon_collector.store.queries.filters import Window
from gnomon_collector.store.queries.overview import LatencySeries, ModelUsage, Outcome, Traffic, TrafficSeries
from gnomon_dashboard import figures, theme
from gnomon_dashboard.alert_figures import incident_figure
from gnomon_dashboard.components import outcomes, tiles
from gnomon_dashboard.figures import Canvas
from gnomon_schemas.metrics import Unit

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(minutes=5, seconds=30), 60)
CANVAS = Canvas(theme.LIGHT, ZoneInfo("Europe/Berlin"), WINDOW, "?range=1h")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def counts(**buckets: int) -> tuple[int, ...]:
    row = [0] * 128
    for name, count in buckets.items():
        row[int(name[1:]) - 1] = count
    return tuple(row)


def test_latency_has_a_gap_where_nothing_was_called() -> None:
    series = LatencySeries(((at(0), counts(b60=10)), (at(1), counts(b60=10)), (at(4), counts(b70=1))), ())
    figure = figures.latency_over_time(series, CANVAS)
    assert [line["name"] for line in figure["data"]] == ["p50", "p95", "p99"]
    p50 = figure["data"][0]
    assert p50["x"][0] == "2026-11-23T10:00:00"
    assert len(p50["x"]) == 6
    assert [value is None for value in p50["y"]] == [False, False, True, True, False, True]
    assert 912 < p50["y"][0] < 1025
    assert (p50["mode"], p50["marker"]["size"]) == ("lines+markers", [0, 0, 0, 0, 5, 0])
    assert p50["customdata"][0] == f"{p50['y'][0]:.0f} ms"
    assert figure["layout"]["yaxis"]["ticktext"][:2] == ["0", "1 s"]


@pytest.mark.parametrize(
    ("unit", "top", "axis"),
    [
        ("usd", 0.1, {"tickprefix": "$", "tickformat": "~f"}),
        ("usd", 5000, {"tickprefix": "$", "tickformat": "~s"}),
        ("count", 20, {"tickformat": "~s"}),
    ],
)
def test_small_amounts_of_an_incident_are_no_thousandths(
    unit: Unit, top: float, axis: dict[str, str]
) -> None:
    figure = incident_figure([START], [top], (), START, unit, CANVAS)
    assert figure is not None and figure["layout"]["yaxis"].items() >= axis.items()


def test_a_line_without_gaps_has_no_markers() -> None:
    assert figures.line("value", ["a", "b"], [1.0, 2.0], "red")["mode"] == "lines"


def test_distribution_counts_every_call_and_marks_quantiles() -> None:
    series = LatencySeries(((at(0), counts(b58=3, b60=90)), (at(1), counts(b72=7))), ())
    figure = figures.latency_distribution(series, CANVAS)
    (bars,) = figure["data"]
    assert sum(bars["y"]) == 100
    assert bars["x"][0] == 57 and bars["x"][-1] == 73
    assert bars["customdata"][bars["x"].index(60)] == ["912 ms – 1.02 s", "90.0%"]
    assert [note["text"].split()[0] for note in figure["layout"]["annotations"]] == ["p50", "p95", "p99"]
    assert all(57 < line["x0"] < 73 for line in figure["layout"]["shapes"])


def test_success_over_time_shows_rate_and_failures() -> None:
    rows = ((at(0), Traffic(calls=10, ok=9, errors=1)), (at(2), Traffic(calls=4, cancelled=4)))
    rate, failed = figures.success_over_time(TrafficSeries(rows, Traffic()), CANVAS)["data"]
    assert rate["y"] == [90.0, None, None, None, None, None]
    assert failed["y"] == [1, 0, 0, 0, 0, 0]
    assert failed["x"][0] == "2026-11-23T10:00:30"


def usage(model: str, minute: int, tokens: int, cost: float) -> ModelUsage:
    return ModelUsage(at(minute), model, 1, tokens, 0, cost, 1)


def test_models_are_stacked_and_the_rest_is_one_bar() -> None:
    rows = [usage(f"m{number}", number % 3, 100, 12.0 - number) for number in range(12)]
    figure = figures.cost_by_model(rows, CANVAS)
    assert [bars["name"] for bars in figure["data"]] == [
        *[f"m{number}" for number in range(7)],
        "other models",
    ]
    assert sum(sum(bars["y"]) for bars in figure["data"]) == pytest.approx(sum(row.cost_usd for row in rows))
    tokens = figures.tokens_by_model(rows, CANVAS)
    assert sum(sum(bars["y"]) for bars in tokens["data"]) == 1200
    colours = [bars["marker"]["color"] for bars in figure["data"]]
    assert len(set(colours)) == len(colours)
    assert colours == [bars["marker"]["color"] for bars in tokens["data"]]


def test_names_are_no_markup_for_plotly() -> None:
    figure = figures.cost_by_model([usage("<b>&x</b>", 0, 1, 1.0)], CANVAS)
    assert figure["data"][0]["name"] == "&lt;b&gt;&amp;x&lt;/b&gt;"


def test_figures_are_json_and_keep_their_zoom() -> None:
    empty = LatencySeries((), ())
    for figure in (
        figures.latency_over_time(empty, CANVAS),
        figures.latency_distribution(empty, CANVAS),
        figures.success_over_time(TrafficSeries((), Traffic()), CANVAS),
        figures.tokens_by_model([], CANVAS),
        figures.cost_by_model([], CANVAS),
    ):
        json.dumps(figure, allow_nan=False)
        assert figure["layout"]["uirevision"] == "?range=1h"
        assert figure["layout"]["xaxis"]["range"] is not None


def test_tiles_compare_sums_per_second() -> None:
    now = (
        (
            at(0),
            Traffic(
                calls=110,
                ok=99,
                errors=11,
                input_tokens=500,
                output_tokens=50,
                with_usage=110,
                cost_usd=1.1,
                priced=110,
            ),
        ),
    )
    before = Traffic(
        calls=120,
        ok=120,
        errors=0,
        input_tokens=600,
        output_tokens=60,
        with_usage=120,
        cost_usd=1.2,
        priced=120,
    )
    window = Window(START, START + timedelta(minutes=5, seconds=30), 60)
    found = {tile.key: tile for tile in tiles.traffic_tiles(TrafficSeries(now, before), window)}
    assert window.previous.seconds == 360
    assert found["requests"].change == pytest.approx(0.0)
    assert found["cost"].change == pytest.approx(0.0)
    assert found["success"].change == pytest.approx(-0.1)
    assert (found["requests"].value, found["success"].value, found["cost"].value) == ("110", "90.0%", "$1.10")
    assert found["tokens"].note == "500 in · 50 out"


def test_tiles_say_when_there_was_nothing_before() -> None:
    series = TrafficSeries(((at(0), Traffic(calls=1, ok=1, with_usage=1)),), Traffic())
    found = {tile.key: tile for tile in tiles.traffic_tiles(series, WINDOW)}
    assert all(tile.change is None for tile in found.values())
    assert found["cost"].value == "–"
    assert "no data before" in json.dumps(
        [tile.to_plotly_json() for tile in tiles.render(list(found.values()))], default=_json
    )


@pytest.mark.parametrize(
    ("change", "better", "expected"),
    [
        (0.2, "less", "bad"),
        (-0.2, "less", "good"),
        (0.2, "more", "good"),
        (0.2, "neither", "neutral"),
        (0.0001, "less", "none"),
    ],
)
def test_a_change_is_judged(change: float, better: tiles.Better, expected: str) -> None:
    (tile,) = tiles.render([tiles.Tile("x", "X", "1", change, better)])
    assert f"change-{expected}" in json.dumps(tile.to_plotly_json(), default=_json)


def test_outcomes_link_to_their_calls() -> None:
    rows = [Outcome("ok", "", 90), Outcome("error", "timeout", 7), Outcome("cancelled", "", 3)]
    tree = json.dumps(outcomes.outcome_list(rows, lambda column, value: f"/{column}={value}"), default=_json)
    for part in ("90.0%", "7.0%", "3.0%", "/error_type=timeout", "/status=cancelled"):
        assert part in tree


def _json(component: object) -> object:
    return component.to_plotly_json()  # type: ignore[attr-defined]


# --- colours -------------------------------------------------------------------------------------


def _linear(colour: str) -> list[float]:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""
    lights = [
        sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), _linear(one), strict=True))
        for one in (first, second)
    ]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


# Machado, Oliveira, Fernandes (2009): protanopia and deuteranopia, on linear RGB
_BLINDNESS = {
    "red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def _lab(colour: str, blindness: str) -> list[float]:
    rgb = [
        max(0.0, min(1.0, sum(w * part for w, part in zip(row, _linear(colour), strict=True))))
        for row in _BLINDNESS[blindness]
    ]
    matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [
        sum(w * part for w, part in zip(row, rgb, strict=True)) / white
        for row, white in zip(matrix, (0.9505, 1, 1.089), strict=True)
    ]
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in xyz)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def _distance(first: str, second: str, blindness: str) -> float:
    pairs = zip(_lab(first, blindness), _lab(second, blindness), strict=True)
    return sum((one - other) ** 2 for one, other in pairs) ** 0.5


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_is_readable_on_panels(palette: theme.Palette) -> None:
    for colour in (palette.text, palette.muted, palette.good, palette.bad):
        assert _contrast(colour, palette.surface) >= 4.5, colour
    for colour in palette.series:
        assert _contrast(colour, palette.surface) >= 2.3, colour


@pytest.mark.parametrize("blindness", list(_BLINDNESS))
@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_colours_are_told_apart_by_the_colour_blind(palette: theme.Palette, blindness: str) -> None:
    assert _distance(palette.good, palette.bad, blindness) > 20
    for index, colour in enumerate(palette.series):
        for other in palette.series[:index]:
            assert _distance(colour, other, blindness) > 15, (colour, other)
    first, second, third = palette.quantiles
    for pair in ((first, second), (second, third), (first, third)):
        assert _distance(*pair, blindness) > 15, pair
