"""Run something right after a module is imported, with the standard library alone."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportWatcher:
    """A finder that waits for one module, lets the others find it, and acts once it has run."""

    def __init__(self, module: str, action: Callable[[], None]) -> None:
        self._module = module
        self._action = action

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec the others find, with our action after the module's own code."""
        if name != self._module:
            return None
        # Out of the way while the others search, or the search comes back here.
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            # It stays until the module is executed: a search alone imports nothing.
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            self._act_after(spec.loader)
        return spec

    def _act_after(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self._action()

        loader.exec_module = exec_module


def watch_import(module: str, action: Callable[[], None]) -> None:
    """Run ``action`` after ``module`` is imported for the first time; it must not raise."""
    sys.meta_path.insert(0, ImportWatcher(module, action))


def when_imported(module: str, action: Callable[[], None]) -> bool:
    """Run ``action`` after ``module`` is imported; returns False where that cannot be arranged."""
    try:
        # Every OpenTelemetry instrumentor depends on wrapt; the SDK alone does not.
        from wrapt import register_post_import_hook
    except ImportError:
        watch_import(module, action)
        return True
    register_post_import_hook(lambda _module: action(), module)
    return True
