"""Files for the time of an insert: the embedded engine reads raw payloads from a file."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gnomon_collector.errors import ConfigError, StoreUnavailable


class Spool:
    """A directory of our own below `parent`, gone when it is closed.

    clickhouse-connect would write such files by itself, but through the `tempfile` module: in /tmp, where a
    crash leaves people's prompts behind, unless TMPDIR is changed for the whole process, and with it for
    everything else that runs there. These are where only the owner of the data directory sees them, and the
    next spool removes what a crash left.
    """

    def __init__(self, parent: Path) -> None:
        """Make the directory, and remove those of processes that are gone.

        Raises:
            ConfigError: no permission
        """
        try:
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for directory in parent.iterdir():
                _remove_if_abandoned(directory)
            self._directory = Path(tempfile.mkdtemp(dir=parent))
            self._lock = _locked(self._directory)
        except OSError as error:
            raise ConfigError(
                f"Cannot write in {error.filename}: {error.strerror}. Check its owner."
            ) from error

    @contextmanager
    def file(self, payload: Iterable[bytes]) -> Iterator[Path]:
        """Yield a file that holds the pieces of `payload`, until the end of the block.

        Raises:
            StoreUnavailable: the disk is full, or failing
        """
        path = self._directory / f"{secrets.token_hex(8)}.insert"
        try:
            _write(path, payload)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directory. Doing so twice does no harm."""
        if self._lock is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def _write(path: Path, payload: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(payload)
    except OSError as error:
        raise StoreUnavailable(f"Cannot write in {path.parent}: {error.strerror}.") from error


def _locked(directory: Path) -> int | None:
    """Lock `directory` as long as this process lives, and return the descriptor; None when it is locked."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_if_abandoned(directory: Path) -> None:
    lock = _locked(directory)
    if lock is not None:
        if directory.is_dir():
            shutil.rmtree(directory)
        else:
            directory.unlink()
        os.close(lock)
