"""LangChain's cache interface, recorded."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache

from gnomon._cache import Cache, Lookup, Usage
from gnomon._runtime import runtime


class ObservedCache(BaseCache):
    """Made by `gnomon.cache_adapters.observe_langchain_cache`."""

    def __init__(
        self,
        inner: BaseCache,
        recorder: Cache,
        semantic: bool,
        similarity: Callable[[str], float | None] | None,
    ) -> None:
        self._inner = inner
        self._recorder = recorder
        self._semantic = semantic
        self._similarity = similarity

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The inner cache's own, recorded."""
        with self._recorder.lookup(prompt) as lookup:
            return self._settled(lookup, prompt, self._inner.lookup(prompt, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The inner cache's own, recorded."""
        with self._recorder.lookup(prompt) as lookup:
            return self._settled(lookup, prompt, await self._inner.alookup(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """The inner cache's own; what the answer cost is remembered."""
        self._recorder.put(prompt, texts_of(return_val), usage_of(return_val))
        self._inner.update(prompt, llm_string, return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """The inner cache's own; what the answer cost is remembered."""
        self._recorder.put(prompt, texts_of(return_val), usage_of(return_val))
        await self._inner.aupdate(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """The inner cache's own."""
        self._inner.clear(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """The inner cache's own."""
        await self._inner.aclear(**kwargs)

    def _settled(self, lookup: Lookup, prompt: str, found: RETURN_VAL_TYPE | None) -> RETURN_VAL_TYPE | None:
        if found is not None:
            similarity = None
            with runtime.guard.harmless("the similarity of a cache hit"):
                similarity = self._similarity(prompt) if self._similarity is not None else None
            lookup.hit(texts_of(found), similarity, usage_of(found), semantic=self._semantic)
        return found


def texts_of(generations: Sequence[Any]) -> str:
    """Return the text of what LangChain stores."""
    return "\n".join(str(getattr(generation, "text", "")) for generation in generations)


def usage_of(generations: Sequence[Any]) -> Usage | None:
    """Return the tokens that LangChain stores with the answer, if there are any."""
    message = getattr(generations[0], "message", None) if generations else None
    said = getattr(message, "usage_metadata", None)
    if not said:
        return None
    model = (getattr(message, "response_metadata", None) or {}).get("model_name", "")
    return Usage(str(model), said.get("input_tokens"), said.get("output_tokens"))
