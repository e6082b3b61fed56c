"""Who may log in to the dashboard, and keys that replace keys."""

from __future__ import annotations

from dataclasses import asdict

from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store import access


def list_users(operator: Operator) -> Json:
    """Return the users by name."""
    return [_shown(user) for user in access.list_users(operator.store)]


def create_user(operator: Operator, username: str, role: str, password: str = "") -> Json:
    """Let somebody in; with no password given, one is made and returned this once."""
    secret = password or access.new_password()
    operator.record("users.create", target=username, details={"role": role})
    user = access.create_user(operator.store, username, secret, role)
    return {**_shown(user), "password": "" if password else secret}


def reset_password(operator: Operator, username: str, password: str = "") -> Json:
    """Change a password; with none given, one is made and returned this once."""
    secret = password or access.new_password()
    operator.record("users.password", target=username)
    access.set_password(operator.store, username, secret)
    return {"username": username, "password": "" if password else secret}


def delete_user(operator: Operator, username: str) -> Json:
    """Take somebody's access away."""
    operator.record("users.delete", target=username)
    access.delete_user(operator.store, username)
    return {"username": username}


def rotate_key(operator: Operator, key_id: str, grace_s: float = 86_400.0) -> Json:
    """Make a key like another one, which expires after a time of grace. Only this answer has the new key."""
    operator.record("keys.rotate", target=key_id, details={"grace_s": grace_s})
    new = access.rotate_key(operator.store, key_id, grace_s)
    operator.keys_changed()
    return {"key": new.key, "key_id": new.key_id, "project": new.project, "scope": new.scope}


def _shown(user: access.User) -> dict[str, Json]:
    return {**asdict(user), "created_at": user.created_at.isoformat(timespec="seconds")}
