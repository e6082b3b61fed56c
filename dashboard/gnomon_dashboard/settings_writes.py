"""What the page Settings changes: keys, people, and what is set for a project.

Each change is an operation of the collector's registry (`gnomon_collector.operations`), the same that the
command line runs, and so it is in the audit log with the name of who did it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gnomon_collector.errors import BadRequest
from gnomon_collector.store import access
from gnomon_collector.store.access import ALL_PROJECTS
from gnomon_collector.store.engine import Store
from gnomon_dashboard.writes import write

Operate: TypeAlias = Callable[[str, str, Mapping[str, Any]], Any]
"""Runs an operation: (its name, who does it, its arguments)."""

_NAME: Final = Field(min_length=1, max_length=100)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProjectBody(_Body):
    """What is set for a project; None is "no limit"."""

    project: str = _NAME
    span_days: int | None = None
    content_days: int | None = None
    max_spans_per_minute: int | None = None
    max_bytes_per_minute: int | None = None
    mask_content: bool = False


class KeyBody(_Body):
    """A key to make; `days` until it expires, None for never."""

    project: str = _NAME
    scope: str = Field(pattern="^(ingest|feedback|read)$")
    name: str = Field("", max_length=200)
    days: float | None = Field(None, gt=0, le=36_500)


class KeyIdBody(_Body):
    """A key to rotate or revoke."""

    key_id: str = _NAME


class UserBody(_Body):
    """Somebody to let in, or whose role to change: on a project, or on all (``*``)."""

    username: str = _NAME
    role: str = Field(pattern="^(viewer|editor|admin|none)$")
    project: str = _NAME


class UsernameBody(_Body):
    """Somebody to act on."""

    username: str = _NAME


def add_routes(app: FastAPI, store: Store, operate: Operate | None) -> None:
    """Add the routes under ``/api/settings``. Who is no admin is refused.

    Args:
        store: one that answers for all projects, to find out whose a key is.
        operate: None where this process has nothing to do it with.
    """
    _add_projects(app, _runner(operate))
    _add_keys(app, _runner(operate), store)
    _add_people(app, _runner(operate))


def _runner(operate: Operate | None) -> Operate:
    def run(name: str, actor: str, arguments: Mapping[str, Any]) -> Any:
        if operate is None:
            raise BadRequest("Nothing can be changed from here: use gnomon keys, users and projects.")
        return operate(name, actor or "dashboard", arguments)

    return run


def _add_projects(app: FastAPI, run: Operate) -> None:
    @app.post("/api/settings/project", include_in_schema=False)
    async def set_project(body: ProjectBody) -> Response:
        def act(author: str) -> dict[str, str]:
            changes = body.model_dump(exclude={"project"})
            run("set_project", author, {"project": body.project, "changes": changes})
            return {"message": f"Saved for {body.project}."}

        return await write(body.project, act, "admin")


def _add_keys(app: FastAPI, run: Operate, store: Store) -> None:
    @app.post("/api/settings/keys", include_in_schema=False)
    async def create_key(body: KeyBody) -> Response:
        def act(author: str) -> dict[str, str]:
            made = run("create_key", author, body.model_dump())
            return {"message": f"The new key of {body.project}, shown only now:", "secret": made["key"]}

        return await write(body.project, act, "admin")

    @app.post("/api/settings/keys/rotate", include_in_schema=False)
    async def rotate_key(body: KeyIdBody) -> Response:
        def act(author: str) -> dict[str, str]:
            made = run("rotate_key", author, {"key_id": body.key_id})
            said = f"The key that replaces {body.key_id}, which works for another day. Shown only now:"
            return {"message": said, "secret": made["key"]}

        return await write(await asyncio.to_thread(project_of_key, store, body.key_id), act, "admin")

    @app.post("/api/settings/keys/revoke", include_in_schema=False)
    async def revoke_key(body: KeyIdBody) -> Response:
        def act(author: str) -> dict[str, str]:
            run("revoke_key", author, {"key_id": body.key_id})
            return {"message": f"{body.key_id} is revoked; every process refuses it within 5 s."}

        return await write(await asyncio.to_thread(project_of_key, store, body.key_id), act, "admin")


def _add_people(app: FastAPI, run: Operate) -> None:
    @app.post("/api/settings/users", include_in_schema=False)
    async def create_user(body: UserBody) -> Response:
        def act(author: str) -> dict[str, str]:
            made = run("create_user", author, {"username": body.username, **_roles(body)})
            return {
                "message": f"The password of {body.username}, shown only now:",
                "secret": made["password"],
            }

        return await write(ALL_PROJECTS, act, "admin")

    @app.post("/api/settings/users/role", include_in_schema=False)
    async def set_role(body: UserBody) -> Response:
        def act(author: str) -> dict[str, str]:
            _not_oneself(author, body.username)
            role = "" if body.role == "none" else body.role
            run("set_role", author, {"username": body.username, "role": role, "project": body.project})
            where = "all projects" if body.project == ALL_PROJECTS else body.project
            return {"message": f"{body.username}: {body.role} on {where}. Open sessions end within 5 s."}

        return await write(ALL_PROJECTS, act, "admin")

    @app.post("/api/settings/users/password", include_in_schema=False)
    async def reset_password(body: UsernameBody) -> Response:
        def act(author: str) -> dict[str, str]:
            made = run("reset_password", author, {"username": body.username})
            said = f"The new password of {body.username}, shown only now:"
            return {"message": said, "secret": made["password"]}

        return await write(ALL_PROJECTS, act, "admin")

    @app.post("/api/settings/users/delete", include_in_schema=False)
    async def delete_user(body: UsernameBody) -> Response:
        def act(author: str) -> dict[str, str]:
            _not_oneself(author, body.username)
            run("delete_user", author, {"username": body.username})
            return {"message": f"{body.username} is removed; open sessions end within 5 s."}

        return await write(ALL_PROJECTS, act, "admin")


def project_of_key(store: Store, key_id: str) -> str:
    """Return the project of a key, `ALL_PROJECTS` where there is none: only admins of all learn that."""
    return next((key.project for key in access.list_keys(store) if key.key_id == key_id), ALL_PROJECTS)


def _roles(body: UserBody) -> dict[str, Any]:
    role = "" if body.role == "none" else body.role
    if body.project == ALL_PROJECTS:
        return {"role": role}
    return {"role": "", "project_roles": {body.project: role}}


def _not_oneself(author: str, username: str) -> None:
    """Nobody locks themselves out: the last admin could not be brought back from a page."""
    if author == username:
        raise BadRequest("Another admin must do this to you, or the command line.")
