"""Adapters that record the look-ups of caches that libraries bring along.

- `observe_store`: redis, diskcache, dictionaries, whatever has ``get`` and ``set`` or is a mapping
- `observe_langchain_cache`: LangChain's cache interface
- `observe_gptcache`: GPTCache's adapted functions

For SQLite, or any function of your own, there is `gnomon.cache(name).wrap(function)`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gnomon._cache import Cache, Usage, cache
from gnomon.cache_adapters.gptcache import observe_gptcache
from gnomon.cache_adapters.stores import observe_store

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache

__all__ = ["Usage", "observe_gptcache", "observe_langchain_cache", "observe_store"]


def observe_langchain_cache(
    inner: "BaseCache",
    recorder: Cache | str,
    semantic: bool = False,
    similarity: Callable[[str], float | None] | None = None,
) -> Any:
    """Return a LangChain cache that records the look-ups of another.

    ``set_llm_cache(observe_langchain_cache(SQLiteCache(), "llm"))``.

    Args:
        inner: any ``BaseCache``.
        recorder: of `gnomon.cache`, or a name to make one of.
        semantic: hits of this cache are those of similar prompts.
        similarity: prompt → similarity of the last hit, where the cache can say it; LangChain's interface
            has no place for it.
    """
    from gnomon.cache_adapters.langchain import ObservedCache

    chosen = cache(recorder) if isinstance(recorder, str) else recorder
    return ObservedCache(inner, chosen, semantic, similarity)
