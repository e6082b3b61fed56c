"""Back to an older version across one step of the schema: refused before anything is touched, and what helps."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.server_process import GNOMON, ServerProcess

from gnomon_collector.errors import MigrationError
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import LEDGER_TABLE, catalogue, migrate, pending

NEWER = "9999_of_a_newer_version.sql"
_LEDGER = (
    f"INSERT INTO {LEDGER_TABLE} (name, kind, sha256, statements_done, statements_total, version) VALUES"
)


def test_a_version_that_knows_one_migration_less_says_so(data_dir: Path) -> None:
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store)
        texts = catalogue()
        last = max((text for text in texts if text.kind == "migration"), key=lambda text: text.name)
        older = [text for text in texts if text is not last]
        with pytest.raises(MigrationError, match=f"{last.name}.*backup from before"):
            pending(store, older)
        assert pending(store) == []


def test_an_older_server_stops_and_the_backup_from_before_brings_it_back(tmp_path: Path) -> None:
    data, backup, restored = tmp_path / "data", tmp_path / "before.tar", tmp_path / "restored"
    with ServerProcess(data) as server:
        key = server.key("shop")
        server.export(request([chat_span(1, hour_ago_ns())]), key)
        server.wait_until_written()
        server.operate("write_backup", path=str(backup))
        server.terminate(30)
    # what an upgrade leaves behind: a migration that the version before does not know
    upgrade = f"{_LEDGER} ('{NEWER}', 'migration', 'x', 1, 1, {time.time_ns()})"
    code = f"from gnomon_collector.store.engine import open_store; open_store('chdb://{data / 'chdb'}').command({upgrade!r})"
    subprocess.run([str(GNOMON.with_name("python")), "-c", code], check=True, cwd=tmp_path)

    refused = subprocess.run(
        [
            str(GNOMON),
            "serve",
            "collector",
            "--data",
            str(data),
            "--otlp-http-port",
            "0",
            "--otlp-grpc-port",
            "0",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert NEWER in refused.stderr and "gnomon restore FILE --data NEW_DIR" in refused.stderr

    subprocess.run([str(GNOMON), "restore", str(backup), "--data", str(restored)], check=True)
    with ServerProcess(restored) as server:
        assert server.query("SELECT count() AS n FROM spans WHERE project = 'shop'") == [{"n": 1}]
        server.export(request([chat_span(2, hour_ago_ns())]), key)
