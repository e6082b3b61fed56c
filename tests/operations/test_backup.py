"""A backup taken beside a working server, and a server on what was restored."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.ingest.payloads import SECOND_NS, chat_span, hour_ago_ns, request
from tests.ingest.server_process import GNOMON, ServerProcess

from gnomon_collector.errors import ConfigError
from gnomon_collector.operations.backup import restore_backup

CALLS = 40


def gnomon(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(GNOMON), *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_what_was_acknowledged_is_in_a_backup_once(tmp_path: Path) -> None:
    """The last request may be in the inbox, in the database or in both when the backup is taken."""
    file = tmp_path / "gnomon.tar"
    with ServerProcess(tmp_path / "data") as server:
        key = server.key("shop")
        for number in range(CALLS):
            server.export(request([chat_span(number, hour_ago_ns() + number * SECOND_NS)]), key)
        done = gnomon("backup", str(file), "--data", str(tmp_path / "data"))
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "data" / "chdb" / "shadow").exists() or not any(
            path.name.startswith("backup") for path in (tmp_path / "data" / "chdb" / "shadow").iterdir()
        )
    assert file.stat().st_mode & 0o077 == 0
    restored = gnomon("restore", str(file), "--data", str(tmp_path / "restored"))
    assert restored.returncode == 0, restored.stderr
    with ServerProcess(tmp_path / "restored") as server:
        server.wait_until_written()
        (counted,) = server.query("SELECT count() AS rows, uniqExact(trace_id) AS traces FROM spans")
        assert counted == {"rows": CALLS, "traces": CALLS}
        server.export(request([chat_span(999, hour_ago_ns())]), key)  # the key was restored too


@pytest.mark.parametrize("name", ["../outside", "/tmp/gnomon-outside", "link"])
def test_nothing_is_unpacked_elsewhere(tmp_path: Path, name: str) -> None:
    """Also by a Python that has no filter of its own for archives: Debian 12's."""
    entry = tarfile.TarInfo(name)
    if name == "link":
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
    file = tmp_path / "x.tar"
    with tarfile.open(file, "w") as archive:
        archive.addfile(entry)
    with pytest.raises(ConfigError, match="is no file of a backup"):
        restore_backup(file, tmp_path / "data" / "new")
    assert not (tmp_path / "data" / "outside").exists() and not Path("/tmp/gnomon-outside").exists()


def test_a_file_that_is_no_backup_and_a_full_directory_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(b"not a tar")
    done = gnomon("restore", str(file), "--data", str(tmp_path / "new"))
    assert done.returncode == 2
    assert "is not a backup of Gnomon" in done.stderr
    with tarfile.open(file, "w") as archive:
        archive.add(__file__, "something")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = gnomon("restore", str(file), "--data", str(tmp_path / "full"))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
