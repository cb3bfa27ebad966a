"""Answers of the database kept for a while: the query cache of applications' tables.

Owns the key of a query and when its answer falls. It is kept under the digest of
its words and values, which alone decide it, so one copy serves everybody and no
label shows a value; a write of one of its tables through the same application
drops it, and with it what was built from it. Another process's writes are seen
when the copy's life is over. ``App.open_tables`` gives it to ``store/sql/tables``.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hasten.cache.cached import current_cache
from hasten.cache.invalidate import CacheSelector
from hasten.cache.policy import CachePolicy
from hasten.caller import current_caller
from hasten.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

USE = "query"


class QueryCache:
    """Keeps rows under the cache in force; without one every query is asked."""

    def __init__(self) -> None:
        self._kept: set[str] = set()

    async def rows(
        self,
        words: str,
        tables: Iterable[str],
        fetch: Callable[[], Awaitable[list[dict[str, Any]]]],
        ttl_s: float,
    ) -> list[dict[str, Any]]:
        """Return the rows of the query ``words``, values included, fetched if none are kept."""
        cache = current_cache()
        if cache is None:
            return await fetch()
        names = tuple(sorted(tables))
        self._kept.update(names)
        policy = _policy(names, ttl_s)
        digest = hashlib.sha256(words.encode()).hexdigest()
        key = policy.key({"tables": ",".join(names), "digest": digest}, current_caller())
        return await cache.get_or_compute(key, fetch, policy)

    async def written(self, tables: Iterable[str]) -> None:
        """Drop what was kept of these tables, as far as other processes can be told."""
        cache = current_cache()
        if cache is None:
            return
        for name in self._kept.intersection(tables):
            try:
                await cache.invalidate(CacheSelector("tag", (f"table:{name}",)), tenants=("",))
            except StoreError:
                continue


@lru_cache(maxsize=256)
def _policy(tables: tuple[str, ...], ttl_s: float) -> CachePolicy:
    tags = tuple(f"table:{name}" for name in tables)
    return CachePolicy(use=USE, ttl_s=ttl_s, scope="public", tags=tags, is_refreshed_early=False)
