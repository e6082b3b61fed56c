"""The people who log in, and what they may do.

A person has a role on every project, or on some projects a role of their own, or both: then the project's own
goes first. Passwords are hashed with argon2id. Who comes from an identity provider has no password here.
"""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.access import ALL_PROJECTS, check_project_name
from gnomon_collector.store.engine import Store

Role = Literal["viewer", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most: each may do what those before it may."""

NO_ROLE: Literal[""] = ""
"""Nothing, where no project gives a role of its own."""

_ALPHABET = string.digits + string.ascii_letters
_USERNAME = re.compile(r"[^\s\x00-\x1f]{1,100}")
_MIN_PASSWORD_CHARACTERS = 8
_MOST_PROJECTS = 1000

_FIELDS = "username, role, project_roles, subject, created_at, version"
_USERS = f"SELECT {_FIELDS} FROM users FINAL WHERE deleted_at IS NULL ORDER BY username"  # noqa: S608 (a constant)
_USER = f"""
SELECT {_FIELDS}, password_hash
FROM users FINAL
WHERE username = {{username:String}} AND deleted_at IS NULL
"""  # noqa: S608 (a constant)
_COLUMNS = (
    *("username", "role", "project_roles", "subject", "created_at"),
    *("password_hash", "deleted_at", "version"),
)


@dataclass(frozen=True)
class User:
    """A person who may log in to the dashboard.

    Attributes:
        username: unique
        role: on every project that `project_roles` does not name; `NO_ROLE` for none
        created_at: UTC
        project_roles: role by project
        subject: issuer and ``sub`` of an OIDC login, "" for a password's
        version: of the row; every change of the person makes a newer one
    """

    username: str
    role: Role | Literal[""]
    created_at: datetime
    project_roles: Mapping[str, Role] = field(default_factory=dict)
    subject: str = ""
    version: int = 0

    def role_on(self, project: str) -> Role | Literal[""]:
        """Return the role on a project; on `ALL_PROJECTS` that which no single project gives."""
        return self.role if project == ALL_PROJECTS else self.project_roles.get(project, self.role)

    def may(self, role: Role, project: str) -> bool:
        """Return whether the person may do on a project what `role` may."""
        held = self.role_on(project)
        return held != NO_ROLE and ROLES.index(held) >= ROLES.index(role)

    @property
    def sees_all(self) -> bool:
        """Whether there is no project, now or later, that the person may not look at."""
        return self.role != NO_ROLE

    def seen(self, projects: Iterable[str]) -> tuple[str, ...]:
        """Return those of some projects that the person may look at."""
        return tuple(project for project in projects if self.may("viewer", project))


def create_user(
    store: Store,
    username: str,
    password: str,
    role: str = "viewer",
    *,
    project_roles: Mapping[str, str] | None = None,
) -> User:
    """Let somebody in with a password.

    Raises:
        BadRequest: the name is taken or unusable, the password too short, or a role unknown
    """
    user = _new_user(username, role, project_roles or {})
    if find_user(store, username):
        raise BadRequest(f"There is already a user {username!r}.")
    return _write(store, user, _hashed(password))


def log_in_by_subject(
    store: Store, username: str, subject: str, role: str, project_roles: Mapping[str, str]
) -> User:
    """Return the user that an identity provider vouched for, made or with the roles that it says now.

    Raises:
        BadRequest: somebody else has that name here, or it or a role is unusable
    """
    said = _new_user(username, role, project_roles)
    known = find_user(store, username)
    if known is None:
        return _write(store, replace(said, subject=subject), "")
    if known.subject != subject:
        raise BadRequest(
            f"There is another login {username!r} here, which this identity is not."
            f" An admin can remove it: gnomon users delete {username}"
        )
    if (known.role, known.project_roles) == (said.role, said.project_roles):
        return known  # a new version would end the person's other sessions
    return _write(store, replace(known, role=said.role, project_roles=said.project_roles), "")


def set_password(store: Store, username: str, password: str) -> None:
    """Change the password of a user, which ends the user's sessions.

    Raises:
        BadRequest: there is no such user, the password is too short, or the user has none here
    """
    user = _known(store, username)
    if user.subject:
        raise BadRequest(f"{username} logs in with the identity provider and has no password here.")
    _write(store, user, _hashed(password))


def set_role(store: Store, username: str, role: str, project: str = ALL_PROJECTS) -> User:
    """Change what a user may do, on one project or on all that have no role of their own; ends their sessions.

    Args:
        role: `NO_ROLE` takes the role away

    Raises:
        BadRequest: there is no such user, role or project
    """
    _check_roles([role])
    found = _found(store, username)
    if not found:
        raise BadRequest(f"There is no user {username!r}.")
    user, password_hash = found[0]
    if project == ALL_PROJECTS:
        return _write(store, replace(user, role=cast(Role, role)), password_hash)
    check_project_name(project)
    others = {name: held for name, held in user.project_roles.items() if name != project}
    roles = others | ({project: cast(Role, role)} if role else {})
    return _write(store, replace(user, project_roles=roles), password_hash)


def delete_user(store: Store, username: str) -> None:
    """Take somebody's access away, which ends the user's sessions.

    Raises:
        BadRequest: there is no such user
    """
    _write(store, _known(store, username), "", deleted_at=datetime.now(UTC))


def list_users(store: Store) -> list[User]:
    """Return the users by name."""
    return [_user(row) for row in store.query(_USERS).rows]


def find_user(store: Store, username: str) -> User | None:
    """Return the user of that name."""
    return next((user for user, _ in _found(store, username)), None)


def verify_password(store: Store, username: str, password: str) -> User | None:
    """Return the user when the password is right, else None.

    Takes about 50 ms of one core and 64 MiB, for unknown users too, so that names cannot be told by time.
    """
    found = _found(store, username)
    hasher = PasswordHasher()
    if not found or not found[0][1]:
        hasher.hash(password)
        return None
    user, password_hash = found[0]
    try:
        hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    return user


def new_password() -> str:
    """Return a random password (119 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))


def _new_user(username: str, role: str, project_roles: Mapping[str, str]) -> User:
    _check_roles([role, *project_roles.values()])
    if not _USERNAME.fullmatch(username):
        raise BadRequest("A username has 1 to 100 characters and no spaces.")
    if len(project_roles) > _MOST_PROJECTS:
        raise BadRequest(f"A user can have roles on {_MOST_PROJECTS} projects at most.")
    for project in project_roles:
        check_project_name(project)
    roles = cast(Mapping[str, Role], {project: held for project, held in project_roles.items() if held})
    return User(username, cast(Role, role), datetime.now(UTC), dict(roles))


def _check_roles(roles: Iterable[str]) -> None:
    for role in roles:
        if role != NO_ROLE and role not in ROLES:
            raise BadRequest(f"There is no role {role!r}. Roles are {', '.join(ROLES)}.")


def _hashed(password: str) -> str:
    if len(password) < _MIN_PASSWORD_CHARACTERS:
        raise BadRequest(f"The password is too short: {_MIN_PASSWORD_CHARACTERS} characters at least.")
    return PasswordHasher().hash(password)


def _known(store: Store, username: str) -> User:
    user = find_user(store, username)
    if user is None:
        raise BadRequest(f"There is no user {username!r}.")
    return user


def _write(store: Store, user: User, password_hash: str, deleted_at: datetime | None = None) -> User:
    written = replace(user, version=max(time.time_ns(), user.version + 1))
    who = (written.username, written.role, dict(written.project_roles), written.subject, written.created_at)
    store.insert_rows("users", _COLUMNS, [(*who, password_hash, deleted_at, written.version)])
    return written


def _found(store: Store, username: str) -> list[tuple[User, str]]:
    return [(_user(row), str(row[6])) for row in store.query(_USER, {"username": username}).rows]


def _user(row: tuple[object, ...]) -> User:
    username, role, project_roles, subject, created_at, version = row[:6]
    return User(
        str(username),
        cast(Role, role),
        cast(datetime, created_at),
        dict(cast("Mapping[str, Role]", project_roles)),
        str(subject),
        int(cast(int, version)),
    )
