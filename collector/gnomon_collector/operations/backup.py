"""A copy of the whole data directory in one file, taken while the server works, and putting it back."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from gnomon_collector.errors import BadRequest, ConfigError
from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store.backup import FrozenPart, attach_parts, frozen_parts
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import LEDGER_TABLE, catalogue, migrate

_MANIFEST: Final = "manifest.json"
_INBOX: Final = "inbox.sqlite"
_PARTS: Final = "parts"
_FILES: Final = ("session-secret",)
"""Small files of the data directory that a restored server needs."""


def write_backup(operator: Operator, path: str) -> Json:
    """Write a backup to a new file on this machine and return what is in it.

    The inbox is copied first: what reaches the database between the two is then in both, and counted once.

    Args:
        path: absolute; the file must not be there yet. It is readable by its owner alone.

    Raises:
        BadRequest: the path is not absolute, or taken.
        ConfigError: the database is a server's.
    """
    target = Path(path)
    if not target.is_absolute():
        raise BadRequest(f"{path} must be an absolute path.")
    if target.exists():
        raise BadRequest(f"{path} is there already: choose another name, or remove it.")
    operator.record("backup", target=target.name)
    with tempfile.TemporaryDirectory(dir=operator.data_dir, prefix="backup-") as folder:
        inbox = Path(folder) / _INBOX
        operator.inbox.copy_to(inbox)
        with frozen_parts(operator.store) as parts:
            _write(target, _manifest(parts), [inbox, *_small_files(operator.data_dir)], parts)
    return {"path": str(target), "bytes": target.stat().st_size, "parts": len(parts)}


def restore_backup(path: Path, data_dir: Path) -> Json:
    """Make a data directory from a backup and bring its schema up to date.

    Args:
        data_dir: must be empty, or not there.

    Raises:
        ConfigError: the file is no backup, a newer Gnomon wrote it, or the directory is in use.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise ConfigError(f"{data_dir} is not empty: a backup is restored into a new directory (--data DIR).")
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="restore-") as folder:
        unpacked = Path(folder)
        manifest = _unpack(path, unpacked)
        rows = _restore_tables(manifest, unpacked, data_dir)
        for name in (_INBOX, *_FILES):
            if (unpacked / name).exists():
                shutil.move(unpacked / name, data_dir / name)
    return {"rows": rows, "taken_at": manifest["taken_at"], "version": manifest["version"]}


def _manifest(parts: Sequence[FrozenPart]) -> Mapping[str, Json]:
    return {
        "format": 1,
        "version": version("gnomon"),
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "migrations": [text.name for text in catalogue() if text.kind == "migration"],
        "parts": [[part.table, part.name] for part in parts],
    }


def _small_files(data_dir: Path) -> list[Path]:
    return [data_dir / name for name in _FILES if (data_dir / name).exists()]


def _write(
    target: Path, manifest: Mapping[str, Json], files: Sequence[Path], parts: Sequence[FrozenPart]
) -> None:
    """Write all into a file beside the target, and give it its name when it is on stable storage."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                _add_text(archive, _MANIFEST, json.dumps(manifest))
                for each in files:
                    archive.add(each, each.name)
                for part in parts:
                    archive.add(part.directory, f"{_PARTS}/{part.table}/{part.name}")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    body = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(body)
    archive.addfile(entry, io.BytesIO(body))


def _unpack(path: Path, folder: Path) -> Mapping[str, Any]:
    try:
        with tarfile.open(path) as archive:
            _extract(archive, folder)
        manifest: Mapping[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, tarfile.TarError, ValueError) as error:
        raise ConfigError(f"{path} is not a backup of Gnomon, or not whole: {error}.") from None
    return manifest


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack plain files and directories alone, all within `folder`, as this user's own.

    Python before 3.11.4, such as Debian 12's, has no filter that sees to it.
    """
    entries = archive.getmembers()
    for entry in entries:
        is_inside = (folder / entry.name).resolve().is_relative_to(folder.resolve())
        if not (is_inside and (entry.isfile() or entry.isdir())):
            raise tarfile.TarError(f"{entry.name} is no file of a backup")
        entry.mode = 0o700 if entry.isdir() else 0o600
        entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), "", ""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)


def _restore_tables(manifest: Mapping[str, Any], unpacked: Path, data_dir: Path) -> int:
    """Make the schema of the backup, attach its parts, and only then migrate to today's schema."""
    known = [text for text in catalogue() if text.kind == "migration"]
    unknown = set(manifest["migrations"]) - {text.name for text in known}
    if unknown:
        raise ConfigError(
            f"A newer Gnomon ({manifest['version']}) wrote this backup: it has {sorted(unknown)[0]}."
            " Upgrade first."
        )
    parts = [FrozenPart(table, name, unpacked / _PARTS / table / name) for table, name in manifest["parts"]]
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store, texts=[text for text in known if text.name in manifest["migrations"]])
        rows = attach_parts(store, [part for part in parts if part.table != LEDGER_TABLE])
        migrate(store)
    return rows
