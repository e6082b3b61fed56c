"""`gnomon.retrieval`: what was looked up for an answer, and what was found."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gnomon import _values
from gnomon._runtime import runtime
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

_MAX_DOCUMENTS: Final = 200
_CONTENT_KEYS: Final = ("content", "page_content", "text", "document", "body")
_ID_KEYS: Final = ("id", "id_", "doc_id", "document_id", "node_id", "source", "url")
_SCORE_KEYS: Final = ("score", "similarity", "relevance_score", "distance")


class Retrieval(SpanHandle):
    """A span of kind ``retrieval``; made by `retrieval`."""

    def set_documents(self, documents: Iterable[object]) -> None:
        """Record what was found, the best first.

        Args:
            documents: texts, mappings or objects with an id, a content and a score under any of the usual
                names (LangChain's and LlamaIndex's documents fit), or pairs ``(document, score)``.
                Iterators are not read: pass a list.
        """
        with runtime.guard.harmless("recording documents"):
            client = runtime.client
            if client is None or not self.recording or not isinstance(documents, list | tuple):
                return
            max_chars = client.settings.max_value_chars // max(len(documents), 1)
            shown = [document_of(item, max_chars) for item in documents[:_MAX_DOCUMENTS]]
            if not client.captures_content:
                shown = [{key: item[key] for key in item if key != "content"} for item in shown]
            self.set_attribute("gnomon.retrieval.count", len(documents))
            self.set_attribute(
                names.RETRIEVAL_DOCUMENTS, _values.to_text(shown, client.settings.max_value_chars)
            )


def retrieval(
    query: object, *, name: str = "retrieval", top_k: int | None = None, source: str | None = None
) -> Retrieval:
    """Record the ``with`` block as a search for context; say what it found with ``set_documents``.

    Args:
        query: what is searched for; recorded only where content is.
        name: what the step is called in the trace.
        top_k: how many documents are asked for.
        source: which index or collection is searched.

    Returns:
        A context manager as `gnomon.span` returns, with ``set_documents`` in addition.
    """
    attributes: dict[str, object] = {names.OPERATION_NAME: "retrieval"}
    if top_k is not None:
        attributes[names.RETRIEVAL_TOP_K] = top_k
    if source is not None:
        attributes[names.DATA_SOURCE_ID] = source
    client = runtime.client
    if client is not None and client.captures_content:
        with runtime.guard.harmless("recording a query"):
            attributes[names.RETRIEVAL_QUERY] = _values.to_text(query, client.settings.max_value_chars)
    return Retrieval(name, "retrieval", attributes)


def document_of(item: object, max_chars: int) -> dict[str, _values.Plain]:
    """Return a document as ``id``, ``content`` and ``score``, as far as it has them."""
    score: object = None
    if isinstance(item, tuple) and len(item) == 2:
        item, score = item
    # LlamaIndex wraps its documents in nodes with a score.
    node = _first(item, ("node",))
    content = _content_of(item if node is None else node)
    shown: dict[str, _values.Plain] = {"content": _values.to_text(content, max_chars)}
    identity = _first(item, _ID_KEYS)
    if identity is None and node is not None:
        identity = _first(node, _ID_KEYS)
    if identity is None:
        identity = _first(_first(item, ("metadata",)), _ID_KEYS)
    if identity is not None:
        shown["id"] = _values.safe_str(identity)
    number = _number(score if score is not None else _first(item, _SCORE_KEYS))
    if number is not None:
        shown["score"] = number
    return shown


def _content_of(item: object) -> object:
    if isinstance(item, str):
        return item
    found = _first(item, _CONTENT_KEYS)
    return item if found is None else found


def _first(item: object, keys: Iterable[str]) -> Any:
    for key in keys:
        found = item.get(key) if isinstance(item, Mapping) else _attribute(item, key)
        if found is not None and not callable(found):
            return found
    return None


def _attribute(item: object, key: str) -> object:
    try:
        return getattr(item, key, None)
    except Exception:
        return None


def _number(value: object) -> float | None:
    try:
        return None if value is None else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
