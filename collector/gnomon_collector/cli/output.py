"""How commands show things to people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 1000


def table_console() -> Console:
    """Return a console for tables on stdout. In a pipe there is no edge of a screen to fold at."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, markup=False)
