"""`gnomon.cache`: look-ups of a cache of your own: hit or miss, how similar, how long, what they saved."""

import functools
import hashlib
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Final

from gnomon import _values
from gnomon._cache_shadow import Pending, Shadow, ShadowRunner
from gnomon._checks_target import last_call
from gnomon._errors import UsageError
from gnomon._runtime import runtime
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

Price = Callable[[str, int, int], float | None]
"""(model, input tokens, output tokens) → US dollars; None where there is no price."""

_MAX_REMEMBERED: Final = 10_000
_MAX_DIGESTED_CHARS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Usage:
    """What the model call took whose answer is in the cache."""

    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Cache:
    """Records the look-ups of one cache; made by `gnomon.cache`. Holds no cached values.

    Attributes:
        name: in ``gnomon.cache.name``.
    """

    def __init__(self, name: str, price: Price | None, shadow: Shadow | None) -> None:
        self.name = name
        self._price = price
        self._usages: OrderedDict[bytes, Usage] = OrderedDict()
        self._lock = Lock()
        self._shadow = None if shadow is None else ShadowRunner(name, shadow)

    def lookup(self, key: object = None) -> "Lookup":
        """Record the ``with`` block as one look-up: a miss unless `Lookup.hit` is called inside.

        Args:
            key: what is looked up, such as the question; recorded as the span's input.
        """
        return Lookup(self, key)

    def put(self, key: object, value: object, usage: Usage | None = None) -> None:
        """Say that an answer was stored, so that later hits know what they save.

        Args:
            key: as it is looked up.
            value: as a look-up will return it.
            usage: what the call took; by default that of the model call that ended last.
        """
        with runtime.guard.harmless("recording what a cache stores"):
            used = usage or _usage_of_last_call()
            if used is not None:
                self._remember(_digest(value), used)
            if self._shadow is not None:
                self._shadow.stored(_digest(key), value)

    def wrap(self, function: Callable[..., Any], miss: Any = None) -> Callable[..., Any]:
        """Return a look-up function that records: what it returns is a hit, unless it is ``miss``.

        Args:
            function: of a key and whatever else it takes; a coroutine function too.
            miss: what it returns when it has nothing.
        """

        @functools.wraps(function)
        def looked_up(key: Any, *args: Any, **kwargs: Any) -> Any:
            with self.lookup(key) as lookup:
                return lookup.settle(function(key, *args, **kwargs), miss)

        @functools.wraps(function)
        async def looked_up_async(key: Any, *args: Any, **kwargs: Any) -> Any:
            with self.lookup(key) as lookup:
                return lookup.settle(await function(key, *args, **kwargs), miss)

        return looked_up_async if inspect.iscoroutinefunction(function) else looked_up

    def usage_of(self, value: object) -> Usage | None:
        """Return what the call took whose answer this is; None when that was in another process."""
        with self._lock:
            return self._usages.get(_digest(value))

    def cost_of(self, usage: Usage) -> float | None:
        """Return what the call cost in US dollars, if that was said or there is a price."""
        if usage.cost_usd is not None or self._price is None:
            return usage.cost_usd
        return self._price(usage.model, usage.input_tokens or 0, usage.output_tokens or 0)

    def hit_happened(self, key: object, value: object, pending: Pending) -> None:
        """Have a sampled hit checked in the background."""
        if self._shadow is not None:
            self._shadow.hit(key, value, pending)

    def miss_happened(self, key: object, pending: Pending) -> None:
        """Have a sampled miss checked, as soon as the real answer is stored."""
        if self._shadow is not None:
            self._shadow.missed(key, _digest(key), pending)

    @property
    def shadow_rate(self) -> float | None:
        """Share of look-ups that are checked; None without shadow calls."""
        return None if self._shadow is None else self._shadow.rate

    def _remember(self, digest: bytes, usage: Usage) -> None:
        with self._lock:
            self._usages[digest] = usage
            self._usages.move_to_end(digest)
            if len(self._usages) > _MAX_REMEMBERED:
                self._usages.popitem(last=False)


class Lookup:
    """One look-up: a context manager. Nothing here raises or changes what the cache returns."""

    def __init__(self, cache: Cache, key: object) -> None:
        self._cache = cache
        self._key = key
        self._span = SpanHandle(f"cache {cache.name}", "cache", {names.CACHE_NAME: cache.name})
        self._status = "miss"
        self._value: object = None

    def hit(
        self,
        value: object,
        similarity: float | None = None,
        usage: Usage | None = None,
        *,
        semantic: bool = False,
    ) -> None:
        """Say that the cache had an answer.

        Args:
            value: the answer.
            similarity: of the stored question to this one, 0 to 1: makes it a semantic hit.
            usage: what the call took that is saved now; known by itself when `Cache.put` was told in this
                process.
            semantic: it is a semantic hit, although nobody knows how similar.
        """
        with runtime.guard.harmless("recording a cache hit"):
            self._status = "semantic_hit" if semantic or similarity is not None else "hit"
            self._value = value
            if similarity is not None:
                self._span.set_attribute(names.CACHE_SIMILARITY, float(similarity))
            used = usage or self._cache.usage_of(value)
            if used is not None:
                self._say_saved(used)

    def settle(self, value: Any, miss: Any = None) -> Any:
        """Take what a look-up returned: a hit, unless it is ``miss``. Returns it unchanged."""
        if value is not miss and not _equals(value, miss):
            self.hit(value)
        return value

    def __enter__(self) -> "Lookup":
        self._span.start()
        self._span.resume()
        if self._key is not None:
            self._span.set_input(self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.set_attribute(names.CACHE_STATUS, self._status)
        self._span.set_attribute(names.CACHE_SHADOW_RATE, self._cache.shadow_rate)
        if error is not None:
            self._span.record_error(error)
        elif self._status != "miss":
            self._span.set_output(self._value)
        self._span.pause()
        self._span.end()
        if error is None:
            with runtime.guard.harmless("a shadow call"):
                self._sample()

    def _sample(self) -> None:
        if self._cache.shadow_rate is None:
            return
        pending = Pending(self._span.trace_id, self._span.span_id)
        if self._status == "miss":
            self._cache.miss_happened(self._key, pending)
        else:
            self._cache.hit_happened(self._key, self._value, pending)

    def _say_saved(self, usage: Usage) -> None:
        self._span.set_attribute(names.CACHE_SAVED_MODEL, usage.model or None)
        self._span.set_attribute(names.CACHE_SAVED_INPUT_TOKENS, usage.input_tokens)
        self._span.set_attribute(names.CACHE_SAVED_OUTPUT_TOKENS, usage.output_tokens)
        self._span.set_attribute(names.CACHE_SAVED_USD, self._cache.cost_of(usage))


def cache(name: str, price: Price | str | None = None, shadow: Shadow | None = None) -> Cache:
    """Record the look-ups of a cache.

    ::

        answers = gnomon.cache("answers")
        with answers.lookup(question) as lookup:
            answer = store.get(question)
            if answer is not None:
                lookup.hit(answer)

    Adapters for LangChain, redis, diskcache and GPTCache are in `gnomon.cache_adapters`.

    Args:
        name: of the cache.
        price: what a call costs: a function (model, input tokens, output tokens) → US dollars, or
            ``"genai-prices"`` for the prices of that package, where it is installed.
        shadow: has a sample of the look-ups checked against the real model; see `gnomon.Shadow`.
    """
    chosen = price if callable(price) else None
    if price is not None and chosen is None:
        with runtime.guard.harmless("cache"):
            chosen = _library_price(price)
    return Cache(_values.clip(_values.safe_str(name), 128), chosen, shadow)


def _library_price(name: object) -> Price:
    if name != "genai-prices":
        raise UsageError('price must be a function or "genai-prices"')
    try:
        library = importlib.import_module("genai_prices")
    except ImportError as error:
        raise UsageError('price="genai-prices" needs pip install genai-prices') from error

    def price(model: str, input_tokens: int, output_tokens: int) -> float | None:
        usage = library.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        try:
            return float(library.calc_price(usage, model_ref=model).total_price)
        except LookupError:
            return None

    return price


def _usage_of_last_call() -> Usage | None:
    last = last_call()
    return None if last is None else Usage(last.model, last.input_tokens, last.output_tokens)


def _digest(value: object) -> bytes:
    if isinstance(value, bytes):
        data = value
    else:
        text = value if isinstance(value, str) else _values.to_text(value, _MAX_DIGESTED_CHARS)
        data = text.encode("utf-8", "replace")
    return hashlib.blake2b(data, digest_size=16).digest()


def _equals(value: object, miss: object) -> bool:
    return type(value) is type(miss) and isinstance(miss, str | bytes | int | bool) and value == miss
