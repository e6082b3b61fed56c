"""Who asks, and what they may see and do: the one place where the dashboard decides it.

The guard (`gnomon_dashboard.auth`) says who asks, for as long as the request lasts. From there two checks
hold, one behind the other: pages and routes ask for a role by name (`require`), which gives the clear
message; and the store that they all work with (`RightsStore`) refuses every statement that is not bound to
projects which the person may see, and every row of a project that the person may not change. A page that
forgets the first is stopped by the second.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from gnomon_collector.errors import GnomonError
from gnomon_collector.store.access import ALL_PROJECTS
from gnomon_collector.store.engine import QueryResult, Store
from gnomon_collector.store.own_projects import CANARY_PROJECT
from gnomon_collector.store.users import Role, User

EVERYBODY: Final = User("", "admin", datetime.fromtimestamp(0, UTC))
"""Who asks where nobody has to log in: on a server that listens on loopback only."""

_TABLE: Final = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)", re.IGNORECASE)
_OF_NO_PROJECT: Final = frozenset(
    {"alert_documents", "judge_evaluators", "judge_switches", "model_prices", "numbers"}
)
"""Tables without a project: the server's configuration and price list."""
_NEWEST_VERSION: Final = re.compile(r"SELECT max\(version\) FROM \w+")
"""A counter; says nothing of what the rows hold."""

_person: ContextVar[User] = ContextVar("person")


class NotAllowed(GnomonError):  # noqa: N818 (named for the condition, as the collector's errors are)
    """The person may not see or do this. The message says what is missing; HTTP 403."""


@contextmanager
def asked_by(person: User) -> Iterator[None]:
    """Answer in here what `person` may see, and nothing else."""
    token = _person.set(person)
    try:
        yield
    finally:
        _person.reset(token)


@contextmanager
def whole_server() -> Iterator[None]:
    """Let statements reach over all projects in here: the caller narrows what is shown."""
    with asked_by(EVERYBODY):
        yield


def person() -> User:
    """Return who asks.

    Raises:
        NotAllowed: nobody does: no guard stands before this.
    """
    found = _person.get(None)
    if found is None:
        raise NotAllowed("Nobody is logged in.")
    return found


def require(role: Role, project: str) -> User:
    """Return who asks, if they have that role on a project.

    Raises:
        NotAllowed: they have not.
    """
    found = person()
    if found.may(role, project):
        return found
    if not found.may("viewer", project):
        raise NotAllowed(f"You have no role on the project {project!r}. An admin can give you one.")
    what = "change" if role == "editor" else "manage"
    raise NotAllowed(
        f"{found.username} may look at the project {project!r}, but not {what} anything: that needs the role"
        f" {role}."
    )


class RightsStore:
    """A store that answers and takes only what the person who asks may see and change.

    It has the methods of `Store` that pages need; there is none here for other statements.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def database(self) -> str:
        """Name of the database."""
        return self._store.database

    @property
    def is_embedded(self) -> bool:
        """Whether the engine runs inside this process."""
        return self._store.is_embedded

    @property
    def place(self) -> str:
        """Where the database is, for messages."""
        return self._store.place

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
    ) -> QueryResult:
        """Run a reading statement that is bound to projects which the person may see.

        Raises:
            NotAllowed: it is bound to another one, or to none.
        """
        _check_reading(sql, parameters or {})
        return self._store.query(sql, parameters, settings=settings)

    def query_text(
        self, sql: str, parameters: Mapping[str, object] | None = None, fmt: str = "CSVWithNames"
    ) -> Iterator[bytes]:
        """Run such a statement and yield its answer in blocks. The check is made at once."""
        _check_reading(sql, parameters or {})
        return self._store.query_text(sql, parameters, fmt)

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows of projects on which the person is an editor.

        Raises:
            NotAllowed: a row is of another project, or of none.
        """
        if "project" not in columns:
            raise NotAllowed(f"Nothing of no project is written from a page ({table}).")
        at = list(columns).index("project")
        for project in {str(row[at]) for row in rows}:
            require("editor", project)
        self._store.insert_rows(table, columns, rows)


def _check_reading(sql: str, parameters: Mapping[str, object]) -> None:
    found = person()
    if found.sees_all or _NEWEST_VERSION.fullmatch(sql.strip()):
        return
    projects = _bound_projects(parameters)
    if projects == [CANARY_PROJECT]:  # the judge's own examples: nobody's data
        return
    if projects:
        for project in projects:
            require("viewer", project)
    elif not set(_TABLE.findall(sql)) <= _OF_NO_PROJECT:
        raise NotAllowed("This shows all projects, which needs a role on all of them.")


def _bound_projects(parameters: Mapping[str, object]) -> list[str]:
    several = parameters.get("projects", ())
    listed = [str(one) for one in several] if isinstance(several, (list, tuple)) else [ALL_PROJECTS]
    return listed + ([str(parameters["project"])] if "project" in parameters else [])
