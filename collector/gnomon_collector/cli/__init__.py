"""The command line. `main` is what the console script calls.

Modules are imported inside commands: ``gnomon --help`` must not wait for the database engine.
"""

from __future__ import annotations

from gnomon_collector.cli.app import main

__all__ = ["main"]
