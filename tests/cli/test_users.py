"""``gnomon users``: who may do what, on all projects or on some."""

from __future__ import annotations

import re

from tests.cli.conftest import Run


def test_roles_are_given_changed_listed_and_taken_away(gnomon: Run) -> None:
    made = gnomon("users", "create", "ben", "--role", "viewer", "--project", "shop", "--project", "blog")
    assert made.stdout.startswith("User ben, role viewer on shop, blog.\nPassword, shown only now:\n")

    def line() -> str:
        return next(one for one in gnomon("users", "list").stdout.splitlines() if one.startswith(" ben"))

    assert re.search(r"ben +none +shop: viewer, blog: viewer +password", line())
    assert (
        gnomon("users", "role", "ben", "editor", "--project", "shop").stdout == "ben is now editor on shop.\n"
    )
    gnomon("users", "role", "ben", "none", "--project", "blog")
    assert gnomon("users", "role", "ben", "admin").stdout == "ben is now admin on all projects.\n"
    assert re.search(r"ben +admin +shop: editor +password", line())
    gnomon("users", "delete", "ben")
    assert "ben" not in gnomon("users", "list").stdout


def test_what_makes_no_sense_is_said(gnomon: Run) -> None:
    refused = gnomon("users", "role", "nobody-of-that-name", "viewer")
    assert refused.returncode == 1 and "There is no user" in refused.stderr
    wrong = gnomon("users", "create", "eve", "--project", "no project")
    assert wrong.returncode == 1 and "cannot be a project" in wrong.stderr
