"""The words that pages show, told apart from what services sent: names, texts and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from plotly.utils import PlotlyJSONEncoder

from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.state import ViewState
from gnomon_dashboard.translation import LISTS, TEXTS

DATA_PARTS: Final = frozenset({"Td", "Code", "Pre", "Kbd", "Graph", "Store", "Textarea"})
"""Components whose text is what services sent, or code."""
TECHNICAL: Final = re.compile(
    r"\b(Gnomon|TOML|CSV|PNG|JSON Lines|JSON|SQL|USD|HTTP|URL|UTC|ClickHouse|OpenTelemetry|OpenAI|Python|curl|LLM|Holm|"
    r"Wilson|PSI|p50|p95|p99|ms|https|English|OTLP|SDK|OpenID Connect|API)\b"
)
CODE: Final = frozenset({"by", "find", "order", "checkout-service", "model:gpt-4o* latency>3s text…"})
"""Names of options, and examples of what to type."""
_NAME: Final = re.compile(r"[A-Z]\w+(/[\w+-]+)+|[a-z]+(_[a-z]+)+")
"""A time zone, or the name of a score or a label."""
_WORD: Final = re.compile(r"[A-Za-z]{2,}")


def texts(node: object, key: str = "") -> Iterator[str]:
    """Yield the texts of components, as `gnomon_dashboard.translation` finds them."""
    if isinstance(node, str):
        if key in TEXTS:
            yield node
    elif isinstance(node, list):
        for one in node:
            yield from texts(one, key if key in LISTS else "")
    elif isinstance(node, dict) and node.get("type") not in DATA_PARTS:
        for name, value in node.items():
            yield from texts(value, name)


def as_json(component: object) -> Any:
    """Return components as the browser gets them."""
    return json.loads(json.dumps(component, cls=PlotlyJSONEncoder))


def words_of_layouts() -> set[str]:
    """Return what the pages show before any answer, and what stands in panels that have none."""
    paths = [*(entry.path for entry in PAGES), "/trace/" + "a" * 32, "/users/u", "/prompts/p", "/datasets/d"]
    found: set[str] = set()
    for path in paths:
        entry = next(one for one in PAGES if one.owns(path))
        found |= set(texts(as_json(entry.layout(path, ViewState())), "children"))
    for entry in PAGES:
        found |= {entry.label, entry.group}
        for panel in entry.panels:
            found |= {panel.title, panel.hint, panel.unit, panel.empty}
    return {one for one in found if is_word(one)}


def is_word(text: str) -> bool:
    """Return whether a text has a word of a language in it, rather than code, numbers and names of formats."""
    is_code = "=" in text or _NAME.fullmatch(text) or text in CODE
    return not is_code and bool(_WORD.search(TECHNICAL.sub("", text)))
