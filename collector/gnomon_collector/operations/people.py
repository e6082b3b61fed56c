"""Who may log in to the dashboard and what they may do there, and the keys of programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store import access, users
from gnomon_collector.store.access import ALL_PROJECTS


def list_users(operator: Operator) -> Json:
    """Return the users by name."""
    return [_shown(user) for user in users.list_users(operator.store)]


def create_user(
    operator: Operator,
    username: str,
    role: str,
    password: str = "",
    project_roles: Mapping[str, str] | None = None,
) -> Json:
    """Let somebody in; with no password given, one is made and returned this once.

    Args:
        role: on every project that `project_roles` does not name; "" for none
    """
    secret = password or users.new_password()
    details = {"role": role, "project_roles": dict(project_roles or {})}
    operator.record("users.create", target=username, details=details)
    user = users.create_user(operator.store, username, secret, role, project_roles=project_roles)
    return {**_shown(user), "password": "" if password else secret}


def set_role(operator: Operator, username: str, role: str, project: str = ALL_PROJECTS) -> Json:
    """Change what somebody may do, on one project or on all without a role of their own; "" for nothing."""
    details = {"role": role or "none"}
    operator.record("users.role", project=project, target=username, details=details)
    return _shown(users.set_role(operator.store, username, role, project))


def reset_password(operator: Operator, username: str, password: str = "") -> Json:
    """Change a password; with none given, one is made and returned this once."""
    secret = password or users.new_password()
    operator.record("users.password", target=username)
    users.set_password(operator.store, username, secret)
    return {"username": username, "password": "" if password else secret}


def delete_user(operator: Operator, username: str) -> Json:
    """Take somebody's access away."""
    operator.record("users.delete", target=username)
    users.delete_user(operator.store, username)
    return {"username": username}


def create_key(
    operator: Operator, project: str, scope: str, name: str = "", days: float | None = None
) -> Json:
    """Make a key, which expires after some days if they are given. Only this answer has the key."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    new = access.create_key(operator.store, project, scope, name, expires_at=expires_at)
    operator.record("keys.create", project=project, target=new.key_id)
    operator.keys_changed()
    return _shown_key(new)


def rotate_key(operator: Operator, key_id: str, grace_s: float = 86_400.0) -> Json:
    """Make a key like another one, which expires after a time of grace. Only this answer has the new key."""
    operator.record("keys.rotate", target=key_id, details={"grace_s": grace_s})
    new = access.rotate_key(operator.store, key_id, grace_s)
    operator.keys_changed()
    return _shown_key(new)


def revoke_key(operator: Operator, key_id: str) -> Json:
    """Revoke a key for good."""
    operator.record("keys.revoke", target=key_id)
    info = access.revoke_key(operator.store, key_id)
    operator.keys_changed()
    return {"key_id": info.key_id, "project": info.project, "scope": info.scope}


def _shown_key(new: access.NewKey) -> dict[str, Json]:
    return {"key": new.key, "key_id": new.key_id, "project": new.project, "scope": new.scope}


def _shown(user: users.User) -> dict[str, Json]:
    said = asdict(user)
    del said["version"]
    return {**said, "created_at": user.created_at.isoformat(timespec="seconds")}
