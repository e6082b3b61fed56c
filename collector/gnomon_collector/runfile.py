"""What a process leaves in the data directory for others to find: the lock, and how to reach the server."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from gnomon_collector.errors import ConfigError, DataDirHeld

LOCK_FILE = "lock"
SERVER_FILE = "server.json"
HEALTH_TIMEOUT_S = 2.0


class DataDirLock:
    """The right to work in a data directory: one process at a time, released by the kernel when it dies.

    chDB itself refuses a second process too, but cannot say who the first one is.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> DataDirLock:
        """Lock `directory`, which is created if need be.

        A second lock of the same process is granted but owns nothing: the engine is one per process anyway.

        Raises:
            DataDirHeld: another process has it
            ConfigError: the directory cannot be created or written
        """
        descriptor = _open_lock_file(directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace")
            os.close(descriptor)
            return cls._share(directory, holder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {_command_line()}\n".encode(), 0)
        return cls(descriptor)

    @classmethod
    def _share(cls, directory: Path, holder: str) -> DataDirLock:
        pid_text, _, command = holder.strip().partition(" ")
        pid = int(pid_text) if pid_text.isdigit() else None
        if pid == os.getpid():
            return cls(None)
        raise DataDirHeld(_held_message(directory, pid, command), pid=pid, command=command)

    def release(self) -> None:
        """Give the directory free. Doing so twice does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@dataclass(frozen=True)
class ServerFile:
    """How to reach the server that runs on a data directory.

    Attributes:
        pid: its process id
        http_url: base of OTLP/HTTP and the REST API, as in ``http://127.0.0.1:4318``
        ui_url: the dashboard, "" when this server has none
        admin_token: bearer token with admin scope, new at every start
        started_at: ISO 8601, UTC
        grpc_address: host and port of OTLP over gRPC
    """

    pid: int
    http_url: str
    ui_url: str
    admin_token: str
    started_at: str
    grpc_address: str = ""

    def __repr__(self) -> str:
        return f"ServerFile(pid={self.pid}, http_url={self.http_url!r})"


def write_server_file(data_dir: Path, server: ServerFile) -> None:
    """Publish `server` in the data directory, readable by this user alone."""
    temporary = data_dir / f".{SERVER_FILE}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(server), file)
    temporary.replace(data_dir / SERVER_FILE)


def remove_server_file(data_dir: Path) -> None:
    """Take back what `write_server_file` published, if this process published it."""
    server = read_server_file(data_dir)
    if server is not None and server.pid == os.getpid():
        (data_dir / SERVER_FILE).unlink(missing_ok=True)


def read_server_file(data_dir: Path) -> ServerFile | None:
    """Return what a server published in the data directory, alive or not; None when there is nothing usable.

    Raises:
        ConfigError: the file belongs to another user
    """
    try:
        return ServerFile(**json.loads((data_dir / SERVER_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise ConfigError(
            f"No permission to read {data_dir / SERVER_FILE}: it belongs to the user who started the server."
            " Run the command as that user."
        ) from None
    except (ValueError, TypeError):
        return None


def find_server(data_dir: Path) -> ServerFile | None:
    """Return the server that runs on the data directory and answers, else None.

    Raises:
        ConfigError: there may be one, but its file belongs to another user
    """
    server = read_server_file(data_dir)
    if server is None or not _is_alive(server.pid) or not _is_healthy(server.http_url):
        return None
    return server


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_healthy(http_url: str) -> bool:
    # urllib, not httpx: this runs on each command line call and must start fast. No proxy for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{http_url}/healthz", timeout=HEALTH_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _open_lock_file(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise ConfigError(
            f"No permission to write in {directory}. Choose another data directory with --data DIR,"
            " or run as its owner."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Cannot use {directory} as data directory: {error.strerror}. Choose another one with --data DIR."
        ) from error


def _held_message(directory: Path, pid: int | None, command: str) -> str:
    who = f"process {pid} ({command})" if pid else "another process"
    return (
        f"The data directory {directory} is in use by {who}."
        f" Stop {'it' if pid else 'that process'} first, or choose another directory with --data DIR."
    )


def _command_line() -> str:
    """The command that started this process, bounded. Arguments after the third may be SQL: left out."""
    words = (
        [Path(sys.argv[0]).name, *sys.argv[1:3]] if sys.argv and sys.argv[0] else [Path(sys.executable).name]
    )
    return " ".join(words).replace("\n", " ")[:200]
