"""The console script ``gnomon``: hands over to the collector's commands when they are installed."""

import importlib
import sys
from collections.abc import Callable
from typing import Final

COMMANDS: Final = "gnomon_collector.cli:main"
INSTALL_LINE: Final = "pip install 'gnomon[server]'"
_OURS: Final = ("gnomon", "gnomon_schemas", "gnomon_collector", "gnomon_dashboard")


def load(target: str) -> Callable[[], object]:
    """Import ``module:attribute``; raises ImportError or AttributeError when it is not there."""
    module, _, attribute = target.partition(":")
    found: Callable[[], object] = getattr(importlib.import_module(module), attribute)
    return found


def main() -> None:
    """Run a command; exits with 2 and the install line when the server parts are not installed."""
    if sys.argv[1:2] == ["doctor"]:
        # It needs the SDK alone, and is run where the service is.
        from gnomon._doctor import main as doctor

        sys.exit(doctor(sys.argv[2:]))
    try:
        command = load(COMMANDS)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        # The SDK alone is installed in services; the commands need the server's dependencies.
        print(
            f"gnomon: the commands need the server parts ({error.name} is missing). Install them with:\n"
            f"    {INSTALL_LINE}",
            file=sys.stderr,
        )
        sys.exit(2)
    command()
