"""`gnomon.prompt`: which prompt, in which version, the calls inside were made with."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from gnomon import _values
from gnomon._runtime import runtime
from gnomon._session import MAX_CHARS, MAX_ENTRIES, SessionScope
from gnomon_schemas import attributes as names

_VERSION_DIGITS: Final = 8


def prompt(
    name: str,
    version: str | int | None = None,
    template: str | None = None,
    variables: Mapping[str, object] | None = None,
) -> SessionScope:
    """Say which prompt the calls inside the ``with`` block are made with.

    Every span started inside gets the name and the version; template and variables are content, and are
    recorded only where content is.

    Args:
        name: name of the prompt (``gen_ai.prompt.name``).
        version: its version; without one, the first 8 hex digits of the SHA-256 of the template, so that
            an edit shows as a new version.
        template: the prompt before its variables are filled in (``gnomon.prompt.template``).
        variables: what is filled in, each as ``gen_ai.prompt.variable.<name>``.
    """
    attributes: dict[str, _values.Attribute] = {}
    with runtime.guard.harmless("prompt"):
        attributes[names.PROMPT_NAME] = _values.to_text(_values.safe_str(name), MAX_CHARS)
        shown = version_of(template) if version is None and template is not None else version
        if shown is not None:
            attributes[names.PROMPT_VERSION] = _values.to_text(_values.safe_str(shown), MAX_CHARS)
        attributes.update(_content(template, variables))
    return SessionScope(attributes)


def version_of(template: str) -> str:
    """Return a version for a template that has none: a digest of its text."""
    return sha256(template.encode("utf-8", "replace")).hexdigest()[:_VERSION_DIGITS]


def _content(template: str | None, variables: Mapping[str, object] | None) -> Mapping[str, _values.Attribute]:
    client = runtime.client
    if client is None or not client.captures_content:
        return {}
    max_chars = client.settings.max_value_chars
    content: dict[str, _values.Attribute] = {
        names.PROMPT_VARIABLE_PREFIX + _values.safe_str(key): _values.to_text(value, max_chars)
        for key, value in list((variables or {}).items())[:MAX_ENTRIES]
    }
    if template is not None:
        content[names.PROMPT_TEMPLATE] = _values.to_text(template, max_chars)
    return content
