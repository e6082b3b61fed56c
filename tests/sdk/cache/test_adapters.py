"""Adapters, each around the real thing."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

import gnomon
from gnomon import testing
from gnomon.cache_adapters import observe_gptcache, observe_langchain_cache, observe_store


def statuses(captured: testing.Captured) -> list[Any]:
    return [
        (s.attributes or {})["gnomon.cache.status"] for s in captured.spans if s.name.startswith("cache ")
    ]


def test_redis(redis_socket: str) -> None:
    import redis

    store = observe_store(redis.Redis(unix_socket_path=redis_socket), "answers")
    with testing.capture() as captured:
        assert store.get("q") is None
        store.set("q", "a", ex=60)
        assert store.get("q") == b"a"
        store.setex("r", 60, "b")
        assert store.get("r") == b"b"
        assert store.delete("q", "r") == 2  # everything else goes through
    assert statuses(captured) == ["miss", "hit", "hit"]


async def test_redis_asyncio(redis_socket: str) -> None:
    import redis.asyncio

    client = redis.asyncio.Redis(unix_socket_path=redis_socket)
    store = observe_store(client, "answers")
    with testing.capture() as captured:
        assert await store.get("async") is None
        await store.set("async", "a")
        assert await store.get("async") == b"a"
    assert statuses(captured) == ["miss", "hit"]
    await client.aclose()


def test_what_redis_gives_back_as_bytes_still_says_what_it_saved(redis_socket: str) -> None:
    import redis

    store = observe_store(redis.Redis(unix_socket_path=redis_socket), "answers")
    attributes = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}
    with testing.capture() as captured, gnomon.span("request"):
        with gnomon.span("call", kind="generation", attributes=attributes):
            pass
        store.set("saved", "ответ")
        store.get("saved")
    assert (captured.span("cache answers").attributes or {})["gnomon.cache.saved.input_tokens"] == 7


def test_diskcache(tmp_path: Path) -> None:
    import diskcache

    with observe_store(diskcache.Cache(str(tmp_path)), "answers") as store, testing.capture() as captured:
        assert store.get("q", default="nothing") == "nothing"
        store.set("q", {"answer": 1}, expire=60)
        assert store.get("q") == {"answer": 1}
        store["r"] = "b"
        assert store["r"] == "b" and "r" in store and len(store) == 2
        with pytest.raises(KeyError):
            store["absent"]
        del store["r"]
        assert list(store) == ["q"]
    assert statuses(captured) == ["miss", "hit", "hit", "miss"]
    assert all(span.status.status_code.name == "UNSET" for span in captured.spans)


def test_langchain_cache() -> None:
    before = get_llm_cache()
    set_llm_cache(observe_langchain_cache(InMemoryCache(), "llm"))
    try:
        model = FakeListChatModel(responses=["one", "two"])
        with testing.capture() as captured:
            assert model.invoke("q").content == model.invoke("q").content == "one"
    finally:
        set_llm_cache(before)
    assert statuses(captured) == ["miss", "hit"]


async def test_langchain_cache_async() -> None:
    cache = observe_langchain_cache(InMemoryCache(), "llm", semantic=True)
    message = AIMessage("a", usage_metadata={"input_tokens": 5, "output_tokens": 6, "total_tokens": 11})
    with testing.capture() as captured:
        assert await cache.alookup("q", "model") is None
        await cache.aupdate("q", "model", [ChatGeneration(message=message)])
        found = await cache.alookup("q", "model")
        assert found is not None and found[0].text == "a"
        await cache.aclear()
        assert cache.lookup("q", "model") is None
    assert statuses(captured) == ["miss", "semantic_hit", "miss"]
    hit = captured.spans[1].attributes or {}
    assert (hit["gnomon.cache.saved.input_tokens"], hit["gnomon.cache.saved.output_tokens"]) == (5, 6)


def test_the_similarity_of_a_langchain_cache_where_it_is_known() -> None:
    cache = observe_langchain_cache(InMemoryCache(), gnomon.cache("llm"), similarity=lambda prompt: 0.9)
    cache.update("q", "model", [ChatGeneration(message=AIMessage("a"))])
    with testing.capture() as captured:
        cache.lookup("q", "model")
    assert (captured.spans[0].attributes or {})["gnomon.cache.similarity"] == 0.9


def test_gptcache(tmp_path: Path) -> None:
    from gptcache import Cache, Config
    from gptcache.adapter.api import get, put
    from gptcache.manager import manager_factory
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation.exact_match import ExactMatchEvaluation

    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        data_manager=manager_factory("map", data_dir=str(tmp_path)),
        similarity_evaluation=ExactMatchEvaluation(),
        config=Config(),
    )
    look_up = observe_gptcache(get, "answers")
    seen: list[Any] = []
    with testing.capture() as captured:
        assert look_up("q", cache_obj=cache) is None
        put("q", "a", cache_obj=cache)
        assert look_up("q", cache_obj=cache, hit_callback=seen.extend) == "a"
    assert statuses(captured) == ["miss", "semantic_hit"]
    assert (captured.spans[1].attributes or {})["gnomon.cache.similarity"] == 1.0
    assert len(seen) == 1  # the host's own hook is still called
