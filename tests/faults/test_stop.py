"""SIGTERM under load, and a second server on the same directory."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from tests.faults.ledger import Ledger, Load, assert_l0
from tests.ingest.server_process import GNOMON, ServerProcess

MOST_S = 10.0


def test_sigterm_under_load_ends_in_ten_seconds_and_loses_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        ledger = Ledger()
        key = server.key("term")
        load = Load(server.url, key, "term", ledger, seed=1)
        load.wait_for_acks(60)
        started = time.monotonic()
        code = server.terminate(MOST_S)
        took_s = time.monotonic() - started
        load.stop()
        assert code == 0
        assert took_s < MOST_S
        assert not (server.data_dir / "server.json").exists()
        assert set(ledger.refused) <= {503}

        server.start()
        assert assert_l0(server, ledger, "term") > 60


def test_sigkill_a_moment_after_sigterm_loses_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        ledger = Ledger()
        key = server.key("term-kill")
        for seed in range(2):
            load = Load(server.url, key, "term-kill", ledger, seed=10 + seed)
            load.wait_for_acks(20)
            try:
                server.terminate(0.3)
            except subprocess.TimeoutExpired:
                server.kill()
            load.stop()
            server.start()
        assert assert_l0(server, ledger, "term-kill") > 40


@pytest.mark.parametrize("says_where_it_is", [True, False])
def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path, says_where_it_is: bool) -> None:
    """Also when the first one has not said yet where it listens: then the lock on the directory tells."""
    with ServerProcess(tmp_path / "data") as server:
        ledger = Ledger()
        load = Load(server.url, server.key("first"), "first", ledger, seed=1, threads=1)
        address = server.data_dir / "server.json"
        hidden = server.data_dir / "hidden.json"
        if not says_where_it_is:
            address.rename(hidden)
        command = [str(GNOMON), "serve", "collector", "--data", str(server.data_dir)]
        ports = ["--otlp-http-port", "0", "--otlp-grpc-port", "0", "--ui-port", "0"]
        second = subprocess.run([*command, *ports], capture_output=True, text=True, timeout=60, check=False)
        if not says_where_it_is:
            hidden.rename(address)

        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        assert str(server.pid) in second.stderr
        assert str(server.data_dir) in second.stderr
        assert "another directory" in second.stderr
        load.wait_for_acks(5)
        load.stop()
        assert assert_l0(server, ledger, "first") > 5
        assert ledger.refused == {}
