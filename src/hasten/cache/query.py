"""Answers of the database kept for a while: the query cache of applications' tables.

Owns the key of a query, for whom its answer is kept and when it falls. It is kept under the
digest of its words and values, which alone decide it, so that no label shows a value: for
the person whose rows it demands, and erased with them; for everybody if its tables are
nobody's. What may rest on several people's rows stays in memory, for one tenant. It falls,
with what was built from it, when rows it may rest on are written, by any process that keeps
the same tables. ``App.open_tables`` gives it to ``store/sql/tables``, which says whose rows
those are.

A write tells the ledger of the cache before it returns, so that who wrote sees it at once,
and others as soon as they hear of it. When the ledger cannot be told, nothing is kept or
answered here until it was; other processes then learn of it when a copy's life is over.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hasten.cache.cached import current_cache
from hasten.cache.key import digest_of, mark
from hasten.cache.policy import CachePolicy
from hasten.cache.trail import add_public_tags
from hasten.caller import Caller, current_caller
from hasten.errors import CodecError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hasten.cache.cache import Cache
    from hasten.cache.key import Scope
    from hasten.store.sql.shares import Reading, Share

    Row = dict[str, Any]

USE = "query"

BUCKETS = 1_024
"""Owners share so many tags a table: the ledger remembers each tag, and people are many."""


class QueryCache:
    """Keeps answers that rest on ``tables`` alone, by name, in ``cache`` where it is in force."""

    def __init__(self, cache: Cache, tables: Iterable[str]) -> None:
        self._cache = cache
        self._tables = frozenset(tables)
        self._untold: set[bytes] = set()
        self._tellers = 0

    async def rows(
        self, reading: Reading, fetch: Callable[[], Awaitable[list[Row]]], ttl_s: float
    ) -> list[Row]:
        """Return the rows of a query, fetched if none are kept."""
        names = {share.table for share in reading.shares}
        if current_cache() is not self._cache or not names or not names <= self._tables:
            return await fetch()
        try:
            digest = digest_of(reading.words, *reading.values)
        except CodecError:
            return await fetch()
        if self._untold and (self._tellers or not await self._tell()):
            return await fetch()
        scope, owner = _owner(reading.shares)
        policy = _policy(scope, ttl_s)
        key = policy.key({"tables": ",".join(sorted(names)), "digest": digest.hex()}, owner)

        async def tagged() -> list[Row]:
            add_public_tags(*(tag for share in reading.shares for tag in _read_tags(share)))
            return await fetch()

        return await self._cache.get_or_compute(key, tagged, policy)

    def keeps(self, table: str) -> bool:
        """Whether answers that rest on a table may be kept."""
        return table in self._tables

    async def written(self, shares: Iterable[Share]) -> None:
        """Drop what may rest on rows that were written, even if nobody waits for it any more."""
        tags = [tag for one in shares if self.keeps(one.table) for tag in _written_tags(one)]
        if tags:
            self._untold.update(mark("tag", "", tag) for tag in tags)
            await asyncio.shield(self._tell())

    async def _tell(self) -> bool:
        """Tell the ledger what is to fall; whether it, and what is known of it here, is told."""
        ledger, untold = self._cache.ledger, list(self._untold)
        self._tellers += 1
        try:
            is_told = await ledger.bump(untold) <= ledger.view.epoch
        except StoreError:
            is_told = False
        finally:
            self._tellers -= 1
        if is_told:
            self._untold.difference_update(untold)
        else:
            self._untold.update(untold)  # another's telling may have taken them out
        return is_told


def _owner(shares: Iterable[Share]) -> tuple[Scope, Caller]:
    """Return for whom an answer is kept that rests on these shares."""
    owned = [share for share in shares if share.is_owned]
    if not owned:
        return "public", current_caller()
    tenants, users = {share.tenant for share in owned}, {share.user for share in owned}
    tenant = tenants.pop() if len(tenants) == 1 else None
    if tenant is None:
        return "tenant", current_caller()
    user = users.pop() if len(users) == 1 else None
    return ("tenant", Caller(tenant, "")) if user is None else ("user", Caller(tenant, user))


def _read_tags(share: Share) -> tuple[str, str]:
    """Return the tags of what rests on a share: all that does so of its table, and its own."""
    return f"table:{share.table}", _tag(share.table, share.tenant, share.user)


def _written_tags(share: Share) -> tuple[str, ...]:
    """Return the tags of what may rest on rows of a share."""
    if share.user is None:
        return (f"table:{share.table}",)
    owners = ((None, None), (share.tenant, None), (share.tenant, share.user))
    return tuple(_tag(share.table, *owner) for owner in owners)


def _tag(table: str, *owner: str | None) -> str:
    """Return the tag of what rests on an owner's rows, whose name nobody can read from it."""
    bucket = int.from_bytes(digest_of(*owner)[:4]) % BUCKETS
    return f"table:{table}:{bucket:03x}"


@lru_cache(maxsize=256)
def _policy(scope: Scope, ttl_s: float) -> CachePolicy:
    return CachePolicy(
        use=USE,
        ttl_s=ttl_s,
        scope=scope,
        is_refreshed_early=False,
        is_local=scope == "tenant",
        wait_s=0.0,  # asking the database twice costs less than agreeing who does
    )
