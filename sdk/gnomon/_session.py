"""Who a call was made for: user, company, session, prompt, tags, metadata.

A session lives in OpenTelemetry's context, so it follows whatever carries that context: ``await``,
tasks, ``asyncio.to_thread``, OpenTelemetry's threading instrumentation, or `carry`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry import context as otel_context

from gnomon import _values
from gnomon._baggage import with_baggage
from gnomon._runtime import runtime
from gnomon._scope import Scope
from gnomon_schemas import attributes as names

_KEY: Final = otel_context.create_key("gnomon.session")
MAX_CHARS: Final = 1024
MAX_ENTRIES: Final = 64

P = ParamSpec("P")
R = TypeVar("R")

Prompt = str | tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class Stamp:
    """The attributes every span of a session gets."""

    attributes: Mapping[str, _values.Attribute] = field(default_factory=dict)

    @property
    def session_id(self) -> str | None:
        """The session's id, when it has one."""
        value = self.attributes.get(names.CONVERSATION_ID)
        return value if isinstance(value, str) else None


def current_stamp(context: otel_context.Context | None = None) -> Stamp | None:
    """Return the stamp of the session around this point, or None outside of any."""
    stamp = otel_context.get_value(_KEY, context)
    return stamp if isinstance(stamp, Stamp) else None


class SessionScope:
    """Context manager made by `session`."""

    def __init__(self, attributes: Mapping[str, _values.Attribute]) -> None:
        self._attributes = attributes
        self._scopes: list[Scope] = []

    def __enter__(self) -> "SessionScope":
        with runtime.guard.harmless("session"):
            stamp = Stamp(_merged(current_stamp(), self._attributes))
            context = otel_context.set_value(_KEY, stamp)
            client = runtime.client
            if client is not None and client.settings.baggage:
                context = with_baggage(stamp.attributes, context)
            self._scopes.append(Scope(context))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with runtime.guard.harmless("session"):
            if self._scopes:
                self._scopes.pop().leave()


def session(
    user: object = None,
    company: object = None,
    session: object = None,
    prompt: Prompt | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> SessionScope:
    """Say who the calls inside the ``with`` block are made for.

    Every span started inside gets these attributes, whichever instrumentation starts it. Sessions nest:
    what an inner one leaves out stays as the outer one said, tags and metadata add up.

    Args:
        user: id of the user (``user.id``).
        company: id of the user's company (``gnomon.company.id``).
        session: id of the conversation (``gen_ai.conversation.id``).
        prompt: prompt in use: ``"name"``, ``"name@version"`` or ``("name", version)``.
        tags: words to find these calls by (``gnomon.tags``).
        metadata: further values, each as ``gnomon.metadata.<key>``.
    """
    attributes: dict[str, _values.Attribute] = {}
    with runtime.guard.harmless("session"):
        attributes = _session_attributes(user, company, session, prompt, tags, metadata)
    return SessionScope(attributes)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Bind a function to the session and span around this point, for use in another thread.

    ``threading.Thread(target=gnomon.carry(work))`` or ``pool.submit(gnomon.carry(work), item)``: Python
    starts plain threads with an empty context. Not needed for asyncio tasks and ``asyncio.to_thread``.
    """
    context = copy_context()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context can be entered once at a time, and a pool may run the same function in two threads.
        return context.copy().run(function, *args, **kwargs)

    return carried


def _session_attributes(
    user: object,
    company: object,
    session_id: object,
    prompt: Prompt | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, object] | None,
) -> dict[str, _values.Attribute]:
    prompt_name, prompt_version = _split_prompt(prompt)
    ids = {
        names.USER_ID: user,
        names.COMPANY_ID: company,
        names.CONVERSATION_ID: session_id,
        names.PROMPT_NAME: prompt_name,
        names.PROMPT_VERSION: prompt_version,
    }
    stamped: dict[str, _values.Attribute] = {
        name: _values.to_text(_id_text(value), MAX_CHARS) for name, value in ids.items() if value is not None
    }
    if tags:
        stamped[names.TAGS] = _tag_list(tags)
    for key, value in list((metadata or {}).items())[:MAX_ENTRIES]:
        stamped[names.METADATA_PREFIX + _values.safe_str(key)] = _values.to_attribute(value, MAX_CHARS)
    return stamped


def _id_text(value: object) -> str:
    return value if isinstance(value, str) else _values.safe_str(value)


def _tag_list(tags: Sequence[str]) -> list[str]:
    words = [tags] if isinstance(tags, str) else list(tags)[:MAX_ENTRIES]
    return [_values.clip(_id_text(word), MAX_CHARS) for word in words]


def _split_prompt(prompt: Prompt | None) -> tuple[object, object]:
    if prompt is None:
        return None, None
    if isinstance(prompt, str):
        name, _, version = prompt.rpartition("@")
        return (name, version) if name and version else (prompt.rstrip("@"), None)
    name, version_given = prompt
    return name, version_given


def _merged(outer: Stamp | None, inner: Mapping[str, _values.Attribute]) -> dict[str, Any]:
    if outer is None:
        return dict(inner)
    merged = {**outer.attributes, **inner}
    if names.PROMPT_NAME in inner and names.PROMPT_VERSION not in inner:
        # A version belongs to its own prompt only.
        merged.pop(names.PROMPT_VERSION, None)
    if names.PROMPT_NAME in inner:
        merged = {key: value for key, value in merged.items() if key in inner or not _is_of_prompt(key)}
    tags = [*_tags(outer.attributes), *_tags(inner)]
    if tags:
        merged[names.TAGS] = list(dict.fromkeys(tags))
    return merged


def _is_of_prompt(key: str) -> bool:
    return key == names.PROMPT_TEMPLATE or key.startswith(names.PROMPT_VARIABLE_PREFIX)


def _tags(attributes: Mapping[str, _values.Attribute]) -> list[str]:
    tags = attributes.get(names.TAGS)
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
