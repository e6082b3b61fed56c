"""The part of Settings about projects, keys and people: what there is, and forms for who may change it.

Everybody sees what concerns the projects that they see. Buttons and forms are drawn for admins; the routes
(`gnomon_dashboard.settings_writes`) refuse everybody else.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import dash_mantine_components as dmc
from dash import Dash, Input, Output, ctx, html

from gnomon_collector.errors import StoreError
from gnomon_collector.store import access, users
from gnomon_collector.store.access import ALL_PROJECTS, KeyInfo
from gnomon_collector.store.engine import Store
from gnomon_collector.store.projects import ProjectSettings, project_settings
from gnomon_collector.store.queries import arrivals
from gnomon_collector.store.queries.arrivals import ProjectSize
from gnomon_collector.store.users import NO_ROLE, ROLES, Role, User
from gnomon_dashboard import ids, rights, units
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.pages.panel import Panel

KEY_SCOPES: Final = ("ingest", "feedback", "read")
"""What keys can be made for here; keys of the whole server are made on the command line."""
_LIMITS: Final = {
    "span_days": "Days spans are kept",
    "content_days": "Days texts are kept",
    "max_spans_per_minute": "Spans a minute",
    "max_bytes_per_minute": "Bytes a minute",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project, its size and what is set for it."""

    size: ProjectSize
    settings: ProjectSettings


def ask_projects(store: Store, _view: View) -> list[Project]:
    """Return the projects with calls that the person may see."""
    who = rights.person()
    with rights.whole_server():
        limits, sizes = project_settings(store), arrivals.project_sizes(store)
    return [
        Project(one, limits.get(one.project, ProjectSettings(one.project)))
        for one in sizes
        if who.may("viewer", one.project)
    ]


def draw_projects(rows: Sequence[Project], view: View) -> Any:
    cells = [
        [
            Cell(row.size.project),
            Cell(units.number(row.size.calls)),
            Cell(units.usd(row.size.cost_usd)),
            Cell(_days(row.settings.span_days)),
            Cell(_days(row.settings.content_days)),
            Cell(units.whole(row.settings.max_spans_per_minute)),
            Cell("yes" if row.settings.mask_content else "no"),
            Cell(f"{row.size.last_seen.astimezone(view.zone):%d %b %H:%M}"),
        ]
        for row in rows
    ]
    headers = (
        "Project",
        "Calls",
        "Cost",
        "Spans kept",
        "Texts kept",
        "Spans a minute",
        "Masked",
        "Last call",
    )
    return ranking(headers, cells) if cells else None


def ask_keys(store: Store, _view: View) -> list[KeyInfo]:
    """Return the keys, without the key, of the projects that the person may see."""
    who = rights.person()
    with rights.whole_server():
        found = access.list_keys(store)
    return [key for key in found if who.may("viewer", key.project)]


def draw_keys(rows: Sequence[KeyInfo], view: View) -> Any:
    who = rights.person()
    cells = [
        [
            Cell(f"{row.key_id}…"),
            Cell(row.name),
            Cell(row.project),
            Cell(row.scope),
            Cell("revoked" if row.revoked_at else "good", tone="" if row.revoked_at else "good"),
            *_key_buttons(row, who),
            Cell(f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never"),
            Cell(f"{row.created_at.astimezone(view.zone):%Y-%m-%d}"),
        ]
        for row in rows
    ]
    headers = ("Key", "Name", "Project", "Scope", "State", "", "", "Expires", "Created")
    return ranking(headers, cells, texts=7) if cells else None


def ask_users(store: Store, view: View) -> list[User]:
    """Return the people; to who is no admin of all, those of the project with their role there alone."""
    who = rights.person()
    with rights.whole_server():
        found = users.list_users(store)
    if _is_admin(who):
        return found
    return [
        User(user.username, NO_ROLE, user.created_at, {view.project: cast(Role, user.role_on(view.project))})
        for user in found
        if user.may("viewer", view.project)
    ]


def draw_users(rows: Sequence[User], view: View) -> Any:
    who = rights.person()
    cells = [
        [
            Cell(row.username),
            Cell(_roles(row)),
            Cell("identity provider" if row.subject else "password"),
            *_user_buttons(row, who),
            Cell(f"{row.created_at.astimezone(view.zone):%Y-%m-%d}"),
        ]
        for row in rows
    ]
    return ranking(("User", "Role", "Logs in with", "", "", "Created"), cells, texts=5) if cells else None


PANELS: Final = (
    Panel(
        "settings-projects",
        "Projects",
        "What is kept for how long, how much may come, and whether personal data is masked on arrival.",
        "",
        ask_projects,
        draw_projects,
        kind="content",
        is_wide=True,
        explore="",
        empty="No project has calls yet",
    ),
    Panel(
        "settings-keys",
        "Keys",
        "What programs show to send or to read. A key itself is shown once, when it is made. A rotated one"
        " goes on working for a day.",
        "",
        ask_keys,
        draw_keys,
        kind="content",
        is_wide=True,
        explore="",
        empty="There are no keys",
        empty_code="gnomon keys create --project shop --scope ingest",
    ),
    Panel(
        "settings-users",
        "People",
        "A viewer may look; an editor also judge, comment and make rules; an admin also manage keys and"
        " settings, and people where the role is on all projects.",
        "",
        ask_users,
        draw_users,
        kind="content",
        is_wide=True,
        explore="",
        empty="Nobody has to log in",
        empty_code="gnomon users create ada --role editor",
    ),
)


def forms(project: str) -> Any:
    """Return the forms that the person may use; assets/settings.js sends them.

    Args:
        project: of the page, "" for the first one.
    """
    who = rights.person()
    shown = []
    if _is_admin(who) or "admin" in ([who.role_on(project)] if project else who.project_roles.values()):
        shown += [_project_form(), _key_form()]
    if _is_admin(who):
        shown += [_user_form(), _role_form()]
    if not shown:
        return html.P("An admin of the project can change what stands here.", className="muted")
    return html.Div([*shown, _answer()], className="panels settings-forms")


def register(app: Dash, context: Context) -> None:
    """Add the callback that shows what is set for the project."""

    @app.callback(
        *[Output(_limit_id(name), "value") for name in _LIMITS],
        Output("settings-mask", "checked"),
        Input(ids.URL, "search"),
        Input("settings-mask", "id"),
    )
    async def show_limits(search: str, _laid_out: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies)
        return await asyncio.to_thread(limits_shown, context.store, view)


def limits_shown(store: Store, view: View) -> tuple[Any, ...]:
    """Return the settings of a view's project as the form takes them; blank where they cannot be read."""
    try:
        with rights.whole_server():
            found = project_settings(store).get(view.project, ProjectSettings(view.project))
    except StoreError:
        found = ProjectSettings(view.project)
    values = [getattr(found, name) for name in _LIMITS]
    return (*("" if value is None else value for value in values), found.mask_content)


def _project_form() -> Any:
    numbers = [
        dmc.NumberInput(
            id=_limit_id(name), label=label, placeholder="no limit", min=1, size="xs", hideControls=True
        )
        for name, label in _LIMITS.items()
    ]
    mask = dmc.Checkbox(id="settings-mask", label="Mask personal data on arrival", size="xs", radius="sm")
    return _form("Settings of this project", [*numbers, mask], "settings-project", "Save")


def _key_form() -> Any:
    fields = [
        dmc.TextInput(id="settings-key-name", label="Name", placeholder="checkout-service", size="xs"),
        dmc.Select(
            id="settings-key-scope",
            label="Scope",
            data=list(KEY_SCOPES),
            value="ingest",
            size="xs",
            allowDeselect=False,
        ),
        dmc.NumberInput(
            id="settings-key-days",
            label="Days it works",
            placeholder="for good",
            min=1,
            size="xs",
            hideControls=True,
        ),
    ]
    return _form("New key for this project", fields, "settings-key-create", "Create key")


def _user_form() -> Any:
    fields = [
        _name_input("settings-user-name"),
        _role_select("settings-user-role"),
        _everywhere("settings-user-all"),
    ]
    return _form("Let somebody in", fields, "settings-user-create", "Create login")


def _role_form() -> Any:
    fields = [
        _name_input("settings-role-name"),
        _role_select("settings-role-role", "none"),
        _everywhere("settings-role-all"),
    ]
    return _form("Change a role", fields, "settings-user-role", "Change role")


def _name_input(component_id: str) -> Any:
    return dmc.TextInput(id=component_id, label="User name", size="xs", autoComplete="off")


def _role_select(component_id: str, *more: str) -> Any:
    return dmc.Select(
        id=component_id, label="Role", data=[*ROLES, *more], value="viewer", size="xs", allowDeselect=False
    )


def _everywhere(component_id: str) -> Any:
    return dmc.Checkbox(id=component_id, label="On all projects, not this one alone", size="xs", radius="sm")


def _form(title: str, fields: Sequence[Any], action: str, verb: str) -> Any:
    button = html.Button(verb, type="button", className="chip-button active", **data(action=action))
    return html.Section(
        [
            html.Div(html.H2(title), className="panel-head"),
            html.Div([*fields, button], className="settings-form"),
        ],
        className="panel",
        **aria(label=title),
    )


def _answer() -> Any:
    """Where what came of it is said, and a new key or password is shown this once."""
    return html.Div(id="settings-answer", className="settings-answer", role="status")


def _key_buttons(key: KeyInfo, who: User) -> list[Cell]:
    if key.revoked_at or not who.may("admin", key.project):
        return [Cell(""), Cell("")]
    return [
        Cell("Rotate", action="settings-key-rotate", value=key.key_id),
        Cell("Revoke", action="settings-key-revoke", value=key.key_id),
    ]


def _user_buttons(user: User, who: User) -> list[Cell]:
    if not _is_admin(who) or user.username == who.username:
        return [Cell(""), Cell("")]
    reset = (
        Cell("")
        if user.subject
        else Cell("New password", action="settings-user-password", value=user.username)
    )
    return [reset, Cell("Remove", action="settings-user-delete", value=user.username)]


def _roles(user: User) -> str:
    """Return all roles in words: ``editor; admin on shop``."""
    own: list[tuple[str, Role]] = sorted(user.project_roles.items())
    said = [f"{role} on {project}" for project, role in own]
    return "; ".join([*([user.role] if user.role else []), *said]) or "none"


def _is_admin(who: User) -> bool:
    return who.may("admin", ALL_PROJECTS)


def _limit_id(name: str) -> str:
    return f"settings-{name.replace('_', '-')}"


def _days(days: int | None) -> str:
    return "for good" if days is None else f"{days} days"
