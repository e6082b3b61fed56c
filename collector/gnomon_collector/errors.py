"""The errors of the collector.

::

    GnomonError                 base of everything raised on purpose
    ├── ConfigError             a setting, a flag or the settings file is wrong
    ├── DataDirHeld             another process works in the data directory
    ├── BadRequest              what a client sent cannot be served as it is
    ├── ServerUnreachable       the running server, asked by a command, does not answer as it should
    └── StoreError              the database refused a statement
        ├── StoreUnavailable    the database cannot be reached or broke off; trying again may help
        └── MigrationError      the schema in the database and the migrations at hand do not fit

Messages say what is wrong and what to do about it. They never hold keys, passwords or captured content.
"""

# ruff: noqa: N818  (leaves are named for the condition, as OSError's are)
from __future__ import annotations


class GnomonError(Exception):
    """Base of all errors raised on purpose. ``str(error)`` is one message for the person at the terminal."""


class ConfigError(GnomonError):
    """A setting, a flag or the settings file is wrong. The message names it."""


class DataDirHeld(GnomonError):
    """Another process holds the data directory.

    Attributes:
        pid: process id of the holder, None when it could not be read
        command: command line of the holder, "" when it could not be read
    """

    def __init__(self, message: str, *, pid: int | None = None, command: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.command = command


class BadRequest(GnomonError):
    """What a client sent cannot be served as it is; sending the same again will not help."""


class ServerUnreachable(GnomonError):
    """A command asked the running server and got no usable answer."""


class StoreError(GnomonError):
    """The database refused a statement.

    Attributes:
        code: ClickHouse's error code (62 is a syntax error, 164 read-only, ...), None when there is none
        name: ClickHouse's name of that code, such as ``SYNTAX_ERROR``; "" when there is none
    """

    def __init__(self, message: str, *, code: int | None = None, name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = name


class StoreUnavailable(StoreError):
    """The database cannot be reached, broke off or did not answer in time. A retry may succeed."""


class MigrationError(StoreError):
    """The schema in the database and the migrations at hand do not fit together."""
