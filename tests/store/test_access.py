"""API keys and users, on both backends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.access import (
    ALL_PROJECTS,
    SCOPES,
    KeyRing,
    create_key,
    key_sha256,
    list_keys,
    revoke_key,
)
from gnomon_collector.store.engine import Store
from gnomon_collector.store.users import (
    create_user,
    delete_user,
    list_users,
    new_password,
    set_password,
    verify_password,
)

HOUR_S = 3600.0


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_says_its_scope_and_has_128_secret_bits_beside_its_id(any_store: Store, scope: str) -> None:
    new = create_key(any_store, ALL_PROJECTS if scope == "admin" else "shop", scope)
    assert re.fullmatch(rf"gnm_{scope[0]}_[0-9A-Za-z]{{30}}", new.key)
    assert new.key.startswith(new.key_id)
    assert (len(new.key) - len(new.key_id)) * 5.954 > 128  # log2(62) bits each


def test_the_key_itself_is_stored_nowhere(any_store: Store) -> None:
    new = create_key(any_store, "shop", "ingest", "checkout service")
    rows = any_store.query("SELECT * FROM api_keys").dicts()
    assert new.key not in str(rows) and new.key not in repr(new)
    assert [(row["key_id"], row["key_sha256"]) for row in rows] == [(new.key_id, key_sha256(new.key))]


def test_keys_are_listed_with_all_but_the_key(any_store: Store) -> None:
    made = [create_key(any_store, "shop", "ingest", "a"), create_key(any_store, "blog", "read", "b")]
    found = list_keys(any_store)
    assert [(key.key_id, key.project, key.scope, key.name) for key in found] == [
        (made[0].key_id, "shop", "ingest", "a"),
        (made[1].key_id, "blog", "read", "b"),
    ]
    assert all(key.revoked_at is None and key.created_at.tzinfo is not None for key in found)


def test_revoking_is_for_good_and_keeps_the_first_time(any_store: Store) -> None:
    new = create_key(any_store, "shop", "ingest")
    first = revoke_key(any_store, new.key_id)
    second = revoke_key(any_store, new.key_id)
    assert first.revoked_at is not None and second.revoked_at is not None
    assert abs((first.revoked_at - second.revoked_at).total_seconds()) < 0.001
    assert [key.revoked_at is None for key in list_keys(any_store)] == [False]


def test_revoking_an_unknown_key(any_store: Store) -> None:
    with pytest.raises(BadRequest, match="no key 'gnm_i_nothing'"):
        revoke_key(any_store, "gnm_i_nothing")


@pytest.mark.parametrize("project", ["", "a b", "../x", "x" * 101, "-x", "é", "a'b", "*"])
def test_a_project_that_cannot_be(store: Store, project: str) -> None:
    with pytest.raises(BadRequest, match="project"):
        create_key(store, project, "ingest")


def test_an_admin_key_is_for_the_whole_server(store: Store) -> None:
    with pytest.raises(BadRequest, match="whole server"):
        create_key(store, "shop", "admin")


def test_an_unknown_scope_lists_the_known_ones(store: Store) -> None:
    with pytest.raises(BadRequest, match="ingest, feedback, read, admin"):
        create_key(store, "shop", "root")


def test_the_ring_knows_good_keys_and_no_others(any_store: Store) -> None:
    good, revoked = create_key(any_store, "shop", "ingest"), create_key(any_store, "shop", "ingest")
    revoke_key(any_store, revoked.key_id)
    with KeyRing(any_store, refresh_s=HOUR_S) as ring:
        info = ring.lookup(good.key)
        assert info is not None and (info.project, info.scope) == ("shop", "ingest")
        others = [
            revoked.key,
            good.key_id,
            good.key[:-1],
            good.key + "x",
            good.key.upper(),
            "",
            " ",
            "\ud800",
            "\x00",
        ]
        assert [ring.lookup(other) for other in others] == [None] * len(others)


def test_a_key_of_another_process_is_known_after_the_refresh_time(any_store: Store) -> None:
    with KeyRing(any_store, refresh_s=0.05) as ring:
        new = create_key(any_store, "shop", "ingest")
        assert wait_until(lambda: ring.lookup(new.key) is not None)
        revoke_key(any_store, new.key_id)
        assert wait_until(lambda: ring.lookup(new.key) is None)


def test_keys_stay_good_while_the_database_does_not_answer(any_store: Store) -> None:
    new = create_key(any_store, "shop", "ingest")
    with KeyRing(any_store, refresh_s=0.02) as ring:
        any_store.command("RENAME TABLE api_keys TO api_keys_away")
        try:
            time.sleep(0.2)
            assert ring.lookup(new.key) is not None
        finally:
            any_store.command("RENAME TABLE api_keys_away TO api_keys")
        later = create_key(any_store, "shop", "ingest")
        assert wait_until(lambda: ring.lookup(later.key) is not None)


def test_a_user_logs_in_with_the_right_password_alone(any_store: Store) -> None:
    made = create_user(any_store, "ada", "correct horse", "admin")
    found = verify_password(any_store, "ada", "correct horse")
    assert found is not None and (found.username, found.role) == ("ada", "admin") == (
        made.username,
        made.role,
    )
    assert verify_password(any_store, "ada", "Correct horse") is None
    assert verify_password(any_store, "bob", "correct horse") is None
    assert verify_password(any_store, "ada", "") is None


def test_passwords_are_stored_as_argon2id(any_store: Store) -> None:
    create_user(any_store, "ada", "correct horse")
    stored = str(any_store.query("SELECT password_hash FROM users").rows[0][0])
    assert stored.startswith("$argon2id$")
    assert "horse" not in stored


def test_a_new_password_replaces_the_old_one(any_store: Store) -> None:
    create_user(any_store, "ada", "correct horse", "editor")
    set_password(any_store, "ada", "battery staple")
    assert verify_password(any_store, "ada", "correct horse") is None
    found = verify_password(any_store, "ada", "battery staple")
    assert found is not None and found.role == "editor"


def test_a_deleted_user_is_out_and_may_come_back(any_store: Store) -> None:
    create_user(any_store, "ada", "correct horse")
    delete_user(any_store, "ada")
    assert verify_password(any_store, "ada", "correct horse") is None
    assert list_users(any_store) == []
    create_user(any_store, "ada", "battery staple")
    assert [user.username for user in list_users(any_store)] == ["ada"]


@pytest.mark.parametrize(
    ("username", "password", "role", "message"),
    [
        ("", "correct horse", "viewer", "username"),
        ("a b", "correct horse", "viewer", "username"),
        ("ada", "short", "viewer", "too short"),
        ("ada", "correct horse", "root", "viewer, editor, admin"),
        ("taken", "correct horse", "viewer", "already"),
    ],
)
def test_a_user_that_cannot_be(store: Store, username: str, password: str, role: str, message: str) -> None:
    create_user(store, "taken", "correct horse")
    with pytest.raises(BadRequest, match=message):
        create_user(store, username, password, role)


@pytest.mark.parametrize(
    "act", [lambda store: set_password(store, "no", "correct horse"), lambda store: delete_user(store, "no")]
)
def test_nobody_of_that_name(store: Store, act: Callable[[Store], None]) -> None:
    with pytest.raises(BadRequest, match="no user 'no'"):
        act(store)


def test_generated_passwords_differ() -> None:
    assert len({new_password() for _ in range(100)}) == 100
