"""Attempts to log in, counted here so that all processes slow down guessing together, also after a restart.

Kept are hashes of user names and addresses, for a day. Rows are only ever added, so that no process overwrites
what another has counted.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from gnomon_collector.store.engine import Store

FORGET_S: Final = 86_400

_COLUMNS: Final = ("key_sha256", "attempt", "is_success")
_FAILURES: Final = """
SELECT length(counted), dateDiff('microsecond', arrayMax(counted), now64(6, 'UTC')) / 1e6
FROM
(
    SELECT arrayFilter(time -> time > forgiven_at, times) AS counted
    FROM
    (
        SELECT groupArrayIf(at, NOT is_success) AS times, maxIf(at, is_success) AS forgiven_at
        FROM login_attempts
        WHERE key_sha256 IN {keys:Array(String)} AND at > now64(6, 'UTC') - toIntervalSecond({forget_s:UInt32})
        GROUP BY key_sha256
    )
)
WHERE notEmpty(counted)
"""


@dataclass(frozen=True)
class Failures:
    """Failed attempts under one key.

    Attributes:
        count: since the last success, within a day
        since_s: how long ago the last one was
    """

    count: int
    since_s: float


def failures(store: Store, keys: Sequence[str]) -> list[Failures]:
    """Return what failed under each of some keys; nothing for a key under which nothing did."""
    bound = {"keys": [_sha256(key) for key in keys], "forget_s": FORGET_S}
    return [
        Failures(cast(int, count), cast(float, since_s))
        for count, since_s in store.query(_FAILURES, bound).rows
    ]


def count_attempt(store: Store, keys: Iterable[str], *, is_success: bool) -> None:
    """Add an attempt under each of some keys. A success forgives the failures before it."""
    rows = [(_sha256(key), secrets.token_hex(8), is_success) for key in keys]
    store.insert_rows("login_attempts", _COLUMNS, rows)


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
