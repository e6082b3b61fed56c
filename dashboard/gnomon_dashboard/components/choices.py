"""Controls that write an option of a page to the URL."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc

from gnomon_dashboard import ids
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.state import ViewState


def choice(view: ViewState, name: str, default: str, label: str, values: Mapping[str, str]) -> Any:
    """Return a select for an option of the page.

    Args:
        name: of the option in the URL.
        default: the value that the URL need not say.
        label: what the control is for, for people.
        values: value to what people read.
    """
    return dmc.Select(
        id=ids.option(name, default),
        data=[{"value": value, "label": text} for value, text in values.items()],
        value=view.option(name, default, values),
        allowDeselect=False,
        size="xs",
        w=190,
        searchable=len(values) > 8,
        leftSectionPointerEvents="none",
        **aria(label=label),
    )


def segments(view: ViewState, name: str, default: str, label: str, values: Mapping[str, str]) -> Any:
    """Return a segmented control for an option of the page with a few values."""
    return dmc.SegmentedControl(
        id=ids.option(name, default),
        data=[{"value": value, "label": text} for value, text in values.items()],
        value=view.option(name, default, values),
        size="xs",
        **aria(label=label),
    )
