"""A key-value store whose look-ups are recorded; everything else goes through untouched."""

import inspect
from collections.abc import Iterator
from typing import Any

from gnomon._cache import Cache, cache


def observe_store(store: Any, recorder: Cache | str) -> Any:
    """Return ``store`` with ``get``, ``set`` and square brackets recorded.

    For ``redis.Redis``, ``redis.asyncio.Redis``, ``diskcache.Cache``, dictionaries and the like: ``get(key)``
    returns None (or the default it was given) when there is nothing. Other methods are the store's own.

    Args:
        store: the store.
        recorder: of `gnomon.cache`, or a name to make one of.
    """
    return ObservedStore(store, cache(recorder) if isinstance(recorder, str) else recorder)


class ObservedStore:
    """Made by `observe_store`."""

    def __init__(self, store: Any, recorder: Cache) -> None:
        self._store = store
        self._recorder = recorder

    def get(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        """The store's own ``get``, recorded."""
        default = args[0] if args else kwargs.get("default")
        if self._is_async():
            return self._get_async(key, default, args, kwargs)
        with self._recorder.lookup(key) as lookup:
            return lookup.settle(self._store.get(key, *args, **kwargs), default)

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        """The store's own ``set``; what the answer cost is remembered."""
        self._recorder.put(key, value)
        return self._store.set(key, value, *args, **kwargs)

    def setex(self, key: Any, time: Any, value: Any) -> Any:
        """The store's own ``setex`` (redis)."""
        self._recorder.put(key, value)
        return self._store.setex(key, time, value)

    def __getitem__(self, key: Any) -> Any:
        missing: KeyError | None = None
        with self._recorder.lookup(key) as lookup:
            try:
                found = self._store[key]
                lookup.hit(found)
            except KeyError as error:
                # A miss is no failure of the look-up.
                missing = error
        if missing is not None:
            raise missing
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        self._recorder.put(key, value)
        self._store[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._store[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._store

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._store)

    def __enter__(self) -> "ObservedStore":
        self._store.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._store.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _is_async(self) -> bool:
        # redis.asyncio's methods are plain functions that return awaitables: only its module tells.
        get = getattr(type(self._store), "get", None)
        return inspect.iscoroutinefunction(get) or ".asyncio" in type(self._store).__module__

    async def _get_async(self, key: Any, default: Any, args: Any, kwargs: Any) -> Any:
        with self._recorder.lookup(key) as lookup:
            return lookup.settle(await self._store.get(key, *args, **kwargs), default)
