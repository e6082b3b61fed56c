"""Gnomon's error tree.

    GnomonError
    ├── SettingError      a setting has a value that cannot be used
    └── UsageError        a function was called with a value that makes no sense

Nothing of it reaches a host: these are logged, and raised only under `gnomon.testing`. Their messages
hold no captured content, so they may be logged.
"""


class GnomonError(Exception):
    """Base of everything Gnomon's SDK raises."""


class SettingError(GnomonError, ValueError):
    """A setting has a value that cannot be used; the message names the setting and says what it takes."""


class UsageError(GnomonError, ValueError):
    """A function was called with a value that makes no sense; the message says what it takes."""
