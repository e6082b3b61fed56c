"""The pages about dialects and the dashboard."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from datetime import UTC, datetime

from tests.docs import markdown

from gnomon_dashboard import rights, state
from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.pages.entry import find
from gnomon_dashboard.state import ViewState
from gnomon_schemas import attributes, dialects

DIALECTS_PAGE = markdown.DOCS / "dialects.md"
DASHBOARD_PAGE = markdown.DOCS / "dashboard.md"
EVERYTHING = ViewState(
    project="shop",
    start=datetime(2026, 1, 1, tzinfo=UTC),
    end=datetime(2026, 1, 2, tzinfo=UTC),
    refresh_s=0,
    services=("a",),
    environments=("b",),
    models=("c",),
    rows="calls",
    text="refund",
    sort="-latency_ms",
    filter='{"status":{}}',
    columns=("status",),
    span="0a",
    options=(("by", "user"),),
)


def test_every_dialect_is_on_the_page() -> None:
    said = [row["File"] for row in markdown.table(DIALECTS_PAGE, "Dialects")]
    assert said == [f"{name}.toml" for name in dialects.ORDER]


def test_every_field_is_on_the_page() -> None:
    assert tuple(row["Field"] for row in markdown.table(DIALECTS_PAGE, "Fields")) == dialects.FIELDS


def test_every_trait_is_on_the_page() -> None:
    traits = getattr(dialects, "TRAITS", ())
    said = tuple(row["Trait"] for row in markdown.table(DIALECTS_PAGE, "Traits")) if traits else ()
    assert said == traits


def test_the_example_has_the_shape_of_a_dialect() -> None:
    (example,) = markdown.blocks(DIALECTS_PAGE, "toml")
    raw = tomllib.loads(example.text)
    own = {"recognise", "own_fields"}
    assert set(raw) - own <= {field.name for field in fields(dialects.Dialect)}
    assert {field for part in ("fields", "own_fields") for field in raw.get(part, {})} <= set(dialects.FIELDS)
    assert set(raw["operations"].values()) <= set(attributes.SPAN_KINDS)


def test_every_parameter_of_the_address_is_on_the_page() -> None:
    assert all(
        getattr(EVERYTHING, field.name) != getattr(ViewState(), field.name)
        for field in fields(ViewState)
        if field.name != "range"
    )
    written = {pair.partition("=")[0] for pair in state.to_query(EVERYTHING)[1:].split("&")} | {"range"}
    rows = markdown.table(DASHBOARD_PAGE, "Parameters of the address")
    assert {name for row in rows for name in row["Parameter"].split(", ")} == written


def test_the_ranges_and_refreshes_on_the_page() -> None:
    rows = {
        row["Parameter"]: row["Meaning"]
        for row in markdown.table(DASHBOARD_PAGE, "Parameters of the address")
    }
    assert all(preset in rows["range"] for preset in state.PRESETS)
    assert f"{state.DEFAULT_RANGE} (when missing)" in rows["range"]
    assert all(str(seconds) in rows["refresh"] for seconds in state.REFRESHES_S)
    assert f"{state.DEFAULT_REFRESH_S} (when missing)" in rows["refresh"]


def test_the_example_link_is_understood() -> None:
    (example,) = markdown.blocks(DASHBOARD_PAGE, "text")
    path, _, query = example.text.strip().partition("?")
    view = state.parse(query)
    assert path == "/traces"
    assert (view.project, view.range, view.services, view.rows) == ("shop", "24h", ("checkout",), "calls")
    (condition,) = state.column_filters(view.filter, view.rows)
    assert condition.column == "status"


def test_the_paths_on_the_page_have_pages() -> None:
    for row in markdown.table(DASHBOARD_PAGE, "Pages"):
        path = row["Path"].replace("<trace id>", "0af7651916cd43dd8448eb211c80319c").replace("<name>", "a")
        entry = find(PAGES, path)
        assert entry is not None, path
        with rights.asked_by(rights.EVERYBODY):
            assert entry.layout(path, ViewState()) is not None, path


def test_every_page_is_on_the_page() -> None:
    said = {row["Path"] for row in markdown.table(DASHBOARD_PAGE, "Pages")}
    assert {entry.path for entry in PAGES if entry.is_listed} <= said


def test_every_key_is_on_the_page() -> None:
    said = {row["Key"] for row in markdown.table(DASHBOARD_PAGE, "Keys")}
    assert {f"g {entry.letter}" for entry in PAGES if entry.letter} <= said
