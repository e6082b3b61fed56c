"""The demo's alerts file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def write_alerts_file(data_dir: Path) -> None:
    """Put the demo's alerts file into the data directory, unless there is one: it may have been changed."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data_dir / "alerts.toml"
    if not path.exists():
        path.write_bytes((files("gnomon_collector.demo") / "alerts.toml").read_bytes())
