"""GPTCache: semantic look-ups with their similarity, through the hook that its adapters have."""

import functools
from collections.abc import Callable
from typing import Any

from gnomon._cache import Cache, cache


def observe_gptcache(
    function: Callable[..., Any], recorder: Cache | str, key: str = "prompt"
) -> Callable[..., Any]:
    """Return a function of GPTCache that records its look-ups.

    For ``gptcache.adapter.api.get`` and for the adapted calls of GPTCache (``ChatCompletion.create`` …): what
    takes ``hit_callback``.

    Args:
        function: of GPTCache.
        recorder: of `gnomon.cache`, or a name to make one of.
        key: the argument that holds the question, when it is not the first.
    """
    chosen = cache(recorder) if isinstance(recorder, str) else recorder

    @functools.wraps(function)
    def looked_up(*args: Any, **kwargs: Any) -> Any:
        hits: list[tuple[Any, float]] = []
        given = kwargs.pop("hit_callback", None)

        def on_hit(found: list[tuple[Any, float]]) -> None:
            hits.extend(found)
            if given is not None:
                given(found)

        with chosen.lookup(args[0] if args else kwargs.get(key)) as lookup:
            answer = function(*args, hit_callback=on_hit, **kwargs)
            if hits:
                lookup.hit(answer, similarity=_similarity(hits))
        return answer

    return looked_up


def _similarity(hits: list[tuple[Any, float]]) -> float:
    # The hook gives the rank as a share of its range, best first.
    return min(max(float(hits[0][1]), 0.0), 1.0)
