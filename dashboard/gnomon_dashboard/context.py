"""What callbacks need: the store, the clock, and the view that a request asks for."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import filters
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_dashboard import rights, state
from gnomon_dashboard.figures import Canvas
from gnomon_dashboard.shared_answers import BRIEFLY, Keep, SharedAnswers
from gnomon_dashboard.state import ViewState
from gnomon_dashboard.theme import Scheme, palette

SCHEME_COOKIE = "gnomon_scheme"
ZONE_COOKIE = "gnomon_zone"


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


@dataclass
class ProjectList:
    """The projects that exist, asked for again after `fresh_s` seconds, by one of those who wait.

    Attributes:
        store: one that answers for all projects; `get` narrows the answer to who asks.
    """

    store: Store
    fresh_s: float = 3.0
    _projects: tuple[str, ...] = ()
    _asked: float = field(default=float("-inf"))
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def were_asked(self) -> bool:
        """Whether the store has ever said which projects there are."""
        return self._asked > float("-inf")

    async def get(self) -> tuple[str, ...]:
        """Return the projects that the person may see: those known before, where the store cannot be asked.

        Those with a role of the person's own are among them before anything arrived there.
        """
        async with self._asking:
            if time.monotonic() - self._asked > self.fresh_s:
                with contextlib.suppress(StoreError):
                    self._projects = await asyncio.to_thread(filters.projects, self.store)
                    self._asked = time.monotonic()
        who = rights.person()
        return who.seen(dict.fromkeys([*self._projects, *sorted(who.project_roles)]))


@dataclass(frozen=True, slots=True)
class Context:
    """What the pages are made with.

    Attributes:
        endpoint: address that services send their telemetry to, shown where there is none yet.
        now: the clock, in UTC.
        shared: answers that several viewers wait for.
    """

    store: Store
    projects: ProjectList
    endpoint: str
    now: Callable[[], datetime] = utc_now
    shared: SharedAnswers = field(default_factory=SharedAnswers)


@dataclass(frozen=True, slots=True)
class View:
    """A view state, made concrete for one request."""

    state: ViewState
    project: str
    window: Window
    zone: tzinfo
    scheme: Scheme
    path: str = "/"

    @property
    def scope(self) -> Scope:
        return state.scope(self.state, self.project)

    @property
    def canvas(self) -> Canvas:
        revision = state.to_query(self.state)
        return Canvas(palette(self.scheme), self.zone, self.window, revision)


async def shared_answer(
    context: Context,
    view: View,
    name: Hashable,
    answer: Callable[[], Awaitable[Any]],
    kept: Keep = BRIEFLY,
) -> Any:
    """Return an answer, or what somebody with the same rights and view just got.

    For panels that show telemetry alone: after a change made on a page, its next question must see it.

    Args:
        name: of the question.
        kept: how long the answer is given again.
    """
    who = rights.person()
    may = (who.role, *sorted(who.project_roles.items()))
    shown = (view.project, view.path, state.to_query(view.state), str(view.zone), view.scheme)
    return await context.shared.get((name, shown, may), answer, kept)


async def resolve(
    context: Context,
    search: str | None,
    cookies: Mapping[str, str],
    scheme: object = None,
    path: str | None = None,
) -> View:
    """Return the view of a request: every page, panel and route gets its project from here.

    Raises:
        NotAllowed: the person who asks may not see that project.

    Args:
        search: the URL's query string.
        cookies: those of the request; they carry the viewer's time zone and colour scheme.
        scheme: the colour scheme when the page has changed it since it was loaded.
        path: of the page.
    """
    parsed = state.parse(search)
    known = await context.projects.get() if not parsed.project else ()
    project = parsed.project or (known[0] if known else "default")
    rights.require("viewer", project)
    return View(
        state=parsed,
        project=project,
        window=state.window(parsed, context.now()),
        zone=zone_of(cookies),
        scheme=scheme_of(cookies, scheme),
        path=path or "/",
    )


def zone_of(cookies: Mapping[str, str]) -> tzinfo:
    """Return the viewer's time zone, UTC where it is unknown."""
    try:
        return ZoneInfo(cookies.get(ZONE_COOKIE, "").replace("%2F", "/"))
    except (ValueError, OSError):
        return UTC


def scheme_of(cookies: Mapping[str, str], changed: object = None) -> Scheme:
    """Return the viewer's colour scheme: what the page changed it to, else the cookie, else light."""
    wanted = changed or cookies.get(SCHEME_COOKIE)
    return "dark" if wanted == "dark" else "light"
