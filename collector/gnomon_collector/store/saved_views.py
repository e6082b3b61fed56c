"""Views of the dashboard that somebody gave a name."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_time

MOST_VIEWS: Final = 200
LONGEST_NAME: Final = 80
_LONGEST_QUERY: Final = 20_000
_COLUMNS: Final = (
    "project",
    "view_id",
    "name",
    "path",
    "query",
    "author",
    "created_at",
    "deleted_at",
    "version",
)


@dataclass(frozen=True, slots=True)
class SavedView:
    """A named address of the dashboard: `path`, and `query` with its ``?``."""

    project: str
    view_id: str
    name: str
    path: str
    query: str
    author: str
    created_at: datetime


def list_views(store: Store, project: str) -> list[SavedView]:
    """Return the views of a project by name."""
    rows = store.query(
        """
        SELECT project, view_id, name, path, query, author, created_at
        FROM saved_views FINAL
        WHERE project = {project:String} AND deleted_at IS NULL
        ORDER BY lowerUTF8(name), created_at
        LIMIT 1000
        """,
        {"project": project},
    ).rows
    return [
        SavedView(
            str(row[0]), str(row[1]), str(row[2]), str(row[3]), str(row[4]), str(row[5]), as_time(row[6])
        )
        for row in rows
    ]


def save_view(store: Store, project: str, name: str, path: str, query: str, author: str) -> SavedView:
    """Store a view. One of the same name in the project is replaced.

    Raises:
        BadRequest: the name or the address makes no sense, or the project has `MOST_VIEWS` already
    """
    name = " ".join(name.split())
    _check(name, path, query)
    known = list_views(store, project)
    same = next((one for one in known if one.name == name), None)
    if same is None and len(known) >= MOST_VIEWS:
        raise BadRequest(f"Project {project} has {MOST_VIEWS} views already: delete one that nobody needs.")
    view_id = same.view_id if same else uuid.uuid4().hex
    view = SavedView(project, view_id, name, path, query, author, datetime.now(UTC))
    _write(store, view, deleted_at=None)
    return view


def delete_view(store: Store, project: str, view_id: str) -> SavedView:
    """Delete a view and return it.

    Raises:
        BadRequest: the project has no such view
    """
    view = next((one for one in list_views(store, project) if one.view_id == view_id), None)
    if view is None:
        raise BadRequest(f"Project {project} has no such view; it may have been deleted already.")
    _write(store, replace(view), deleted_at=datetime.now(UTC))
    return view


def _check(name: str, path: str, query: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BadRequest(f"A view's name has 1 to {LONGEST_NAME} characters.")
    # it becomes a link: nothing may lead to another host
    if not path.startswith("/") or path.startswith("//") or "\\" in path or len(path) > 500:
        raise BadRequest("A view's path is a path of the dashboard, such as /traces.")
    if (query and not query.startswith("?")) or len(query) > _LONGEST_QUERY:
        raise BadRequest(f"A view's query string starts with ? and has at most {_LONGEST_QUERY} characters.")


def _write(store: Store, view: SavedView, deleted_at: datetime | None) -> None:
    row = (
        view.project,
        view.view_id,
        view.name,
        view.path,
        view.query,
        view.author,
        view.created_at,
        deleted_at,
        time.time_ns(),
    )
    store.insert_rows("saved_views", _COLUMNS, [row])
