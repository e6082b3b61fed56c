"""``gnomon keys``, beside a server and without one."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Run, run_gnomon, run_here

from gnomon_collector.runfile import ServerFile

KEY = re.compile(r"gnm_i_[0-9A-Za-z]{30}")


def test_the_key_alone_is_the_last_line_and_the_directory_is_made(tmp_path: Path) -> None:
    data_dir = tmp_path / "not" / "there" / "yet"
    done = run_gnomon("keys", "create", "--project", "shop", "--scope", "ingest", "--data", str(data_dir))
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert KEY.fullmatch(last)
    assert "project shop" in first and "scope ingest" in first and last not in first
    assert (data_dir / "chdb").is_dir()


def test_create_list_revoke(gnomon: Run) -> None:
    created = gnomon("keys", "create", "--project", "life", "--name", "a [b]")
    key = created.stdout.splitlines()[-1]
    key_id = key[:14]

    listed = gnomon("keys", "list")
    revoked = gnomon("keys", "revoke", key_id)
    after = gnomon("keys", "list")
    with_revoked = gnomon("keys", "list", "--all")

    line = next(line for line in listed.stdout.splitlines() if key_id in line)
    assert re.search(r"life +ingest +a \[b\] +\d{4}-\d\d-\d\d \d\d:\d\d", line)
    assert key not in listed.stdout
    assert revoked.stdout == f"Revoked {key_id} of project life.\n"
    assert key_id not in after.stdout and key_id in with_revoked.stdout


def test_a_running_server_knows_a_new_key_at_once_and_a_revoked_one_no_more(
    server_dir: Path, server: ServerFile
) -> None:
    created = run_here("keys", "create", "--project", "now", "--data", str(server_dir))
    key = created.stdout.splitlines()[-1]

    def status_code() -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-protobuf"}
        return httpx.post(
            f"{server.http_url}/v1/traces", content=b"", headers=headers, trust_env=False
        ).status_code

    assert status_code() == 200
    run_here("keys", "revoke", key[:14], "--data", str(server_dir))
    assert status_code() == 401


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["revoke", "gnm_i_nothing"], "There is no key 'gnm_i_nothing'. `gnomon keys list` shows the ids."),
        (["revoke", "../../x?y#z"], "There is no key '../../x?y#z'."),
        (["create", "--project", "a b"], "'a b' cannot be a project"),
        (["create", "--project", "p", "--scope", "admin"], "give it the project '*'"),
        (["create", "--project", "x" * 101], "100 characters"),
    ],
)
def test_refusals_are_one_line(gnomon: Run, arguments: list[str], message: str) -> None:
    done = gnomon("keys", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ") and message in done.stderr
    assert done.stderr.count("\n") == 1
