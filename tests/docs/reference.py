"""The parts of the guides that are written by the code they document. ``make docs`` writes them.

Such a part stands between ``<!-- from the code: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from pydantic_core import PydanticUndefined
from tests.docs.markdown import DOCS

from gnomon._settings import AUTO
from gnomon._settings import SETTINGS as SDK_SETTINGS
from gnomon_collector.cli.app import cli
from gnomon_collector.cli.serve import serve
from gnomon_collector.settings import Settings, environment_variable
from gnomon_schemas.dialects import ORDER, load_dialects

_PART = re.compile(r"(<!-- from the code: ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 100


def render(text: str) -> str:
    """Return a page with its parts from the code written anew.

    Raises:
        KeyError: the page asks for a part that there is not
    """
    parts = generated_parts()
    return _PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]()}\n{match[3]}", text)


def names_in(text: str) -> list[str]:
    """Return which parts a page asks for."""
    return [match[2] for match in _PART.finditer(text)]


def generated_parts() -> dict[str, Callable[[], str]]:
    """Return what writes each part."""
    return {
        "SDK settings": sdk_settings,
        "server settings": server_settings,
        "dialects": dialect_list,
        **{f"help of {' '.join(path)}": lambda path=path: help_block(path) for path in command_paths()},
    }


def sdk_settings() -> str:
    """Return the table of `gnomon._settings.SETTINGS`."""
    rows = [
        (
            f"`{setting.name}`",
            _cell(setting.type),
            _cell(_sdk_default(setting.default)),
            _cell("<br>".join(map(_source, setting.sources)) or "an argument only"),
            _cell(setting.help),
        )
        for setting in SDK_SETTINGS
    ]
    return _table(("Argument", "Takes", "Default", "Environment, the first set one wins", "Meaning"), rows)


def server_settings() -> str:
    """Return the table of `gnomon_collector.settings.Settings`."""
    flags = dict(_serve_flags())
    rows = [
        (
            f"`{name}`",
            f"`{environment_variable(name)}`",
            f"`{flags[name]}`" if name in flags else "",
            _cell(_server_default(field.default)),
            _cell(str(field.description)),
        )
        for name, field in Settings.model_fields.items()
    ]
    return _table(("In gnomon.toml", "Environment", "Flag of `serve`", "Default", "Meaning"), rows)


def dialect_list() -> str:
    """Return the table of `gnomon_schemas.dialects`, in the order in which they are tried."""
    rows = [
        (
            f"`{name}.toml`",
            _cell(dialect.title),
            ", ".join(f"`{scope}`" for scope in dialect.scopes),
            ", ".join(f"`{attribute}`" for attribute in dialect.attributes),
        )
        for name, dialect in zip(ORDER, load_dialects(), strict=True)
    ]
    return _table(("File", "Dialect", "Scopes", "Attributes"), rows)


def help_block(path: Sequence[str]) -> str:
    """Return what ``gnomon … --help`` says, as a code block."""
    context, command = _find(path)
    lines = command.get_help(context).splitlines()
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```"


def command_paths() -> list[tuple[str, ...]]:
    """Return the words of every command, ``gnomon`` first; groups before their commands."""
    return list(_walk(("gnomon",), cli, click.Context(cli, info_name="gnomon")))


def find_command(path: Sequence[str]) -> click.Command:
    """Return a command by its words, ``gnomon`` first.

    Raises:
        LookupError: there is none
    """
    return _find(path)[1]


def _walk(path: tuple[str, ...], command: click.Command, context: click.Context) -> Iterable[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _walk((*path, name), child, click.Context(child, info_name=name, parent=context))


def _find(path: Sequence[str]) -> tuple[click.Context, click.Command]:
    command: click.Command = cli
    context = _context(cli, path[0], None)
    for word in path[1:]:
        child = command.get_command(context, word) if isinstance(command, click.Group) else None
        if child is None:
            raise LookupError(f"there is no command {' '.join(path)}")
        command, context = child, _context(child, word, context)
    return context, command


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _serve_flags() -> Iterable[tuple[str, str]]:
    for parameter in serve.params:
        if isinstance(parameter, click.Option) and parameter.name:
            yield parameter.name, parameter.opts[0]


def _source(source: Any) -> str:
    text = f"`{source.variable}`"
    if source.key:
        text += f" (its `{source.key}`)"
    return f"not {text}" if source.inverted else text


def _sdk_default(default: object) -> str:
    if default is None:
        return "not set"
    if default == (AUTO,):
        return f"`{AUTO}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int):
        return _number(default)
    return f"`{default}`" if default else "none"


def _server_default(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    assert default is not PydanticUndefined
    if default == "":
        return "empty"
    return _number(default) if isinstance(default, int) else f"`{default}`"


def _number(value: int) -> str:
    for size_bytes, unit in ((1024**3, "GiB"), (1024**2, "MiB")):
        if value and value % size_bytes == 0:
            return f"`{int(value)}` ({value // size_bytes} {unit})"
    return f"`{int(value)}`"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the parts from the code in all guides."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(render(text), encoding="utf-8")


if __name__ == "__main__":
    main()
