"""Which tables hold what people wrote and models answered: the one list that retention and erasure go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ContentTable:
    """A table with content.

    Attributes:
        name: of the table
        time: column that says how old a row is
        has_figures: a row says something without its texts, so it outlives them
    """

    name: str
    time: str
    has_figures: bool = False


CONTENT_TABLES: Final = (
    ContentTable("spans", "start_time", has_figures=True),
    ContentTable("trace_summaries", "start_time", has_figures=True),
    ContentTable("scores", "created_at", has_figures=True),
    ContentTable("log_records", "time"),
    ContentTable("span_contents", "received_at"),
    ContentTable("dataset_examples", "happened_at"),
)
"""A new table with content is added here: a test compares with the columns of the database."""
