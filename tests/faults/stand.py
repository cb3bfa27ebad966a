"""A whole cache on one real store, whose every request goes past memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from hasten.cache import tiers
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.clock import current_clock
from hasten.store.redis import RedisStore
from hasten.store.redis_client import RedisPolicy
from hasten.store.sql import SqlPolicy, SqlStore, TableStore, open_sql, sql_url
from hasten.store.sql.postgres import PostgresStore
from tests.faults.relay import Relay, relay_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import pytest

    from hasten.store.base import ByteStore

DEADLINE_S = 0.3
"""What a store may take; a test's own machine may be slow, too."""

RECOVERY_S = 20.0
"""A server that answers again is in use again by then."""

POLICY = CachePolicy(use="tool", ttl_s=1000, jitter=0, is_refreshed_early=False)


class Stand:
    """The cache, its store and the relay before it; ``asked`` counts reads that got to the store.

    ``computed`` counts computations.
    """

    def __init__(self, store: ByteStore, relay: Relay | None = None) -> None:
        self.cache = Cache([Tier(store=store)], memory_residence_s=0)
        self.tier = self.cache.tiers[0]
        self.store = store
        self.relay = relay
        self.asked = self.computed = 0
        get_many = store.get_many

        async def counted(keys: Sequence[bytes]) -> list[bytes | None]:
            self.asked += 1
            return await get_many(keys)

        store.get_many = counted  # type: ignore[method-assign]  # it counts, that is all

    async def call(self, name: object) -> Any:
        """Make one request; what it computes is the name's own value."""

        async def compute() -> str:
            self.computed += 1
            return value_of(name)

        return await self.cache.get_or_compute(self.cache.key(POLICY, name=name), compute, POLICY)

    async def check_goes_on(self, name: str, requests: int = 8) -> None:
        """Check that requests are answered, computed, counted as misses, and hardly wait."""
        misses = self.cache.stats.of("tool", "").misses
        errors, asked, computed = self.tier.errors, self.asked, self.computed
        began_s = current_clock().monotonic()
        for number in range(requests):
            assert await self.call((name, number)) == value_of((name, number))
        took_s = current_clock().monotonic() - began_s
        assert self.computed - computed == requests
        assert self.cache.stats.of("tool", "").misses - misses == requests
        assert self.tier.errors > errors
        assert self.asked - asked < requests
        assert took_s < requests * DEADLINE_S

    async def check_hits(self, name: object) -> None:
        """Check that a value is stored, by and by, and found again."""
        async with asyncio.timeout(RECOVERY_S):
            computed = -1
            while computed != self.computed:
                computed = self.computed
                assert await self.call(name) == value_of(name)
                await asyncio.sleep(0.005)  # storing is not waited for, and tells nobody

    async def check_recovers(self, name: object) -> None:
        """Check that the store is in use again in time."""
        async with asyncio.timeout(RECOVERY_S):
            while not self.tier.is_available:
                await self.call("meanwhile")
                await asyncio.sleep(0.01)  # as requests would come meanwhile
            await self.check_hits(name)


def value_of(name: object) -> str:
    """Return what a request for ``name`` has to give."""
    return f"value of {name}"


def recover_quickly(patch: pytest.MonkeyPatch) -> None:
    """Look for a lost store ten times as often as usual."""
    patch.setattr(tiers, "REST_S", 0.1)


@asynccontextmanager
async def on_redis(url: str) -> AsyncIterator[Stand]:
    """Stand on a Redis, behind a relay."""
    parts = make_url(url)
    async with relay_to(parts.port or 0) as (relay, port):
        policy = RedisPolicy(call_s=DEADLINE_S, connect_s=DEADLINE_S)
        stand = Stand(RedisStore(f"redis://127.0.0.1:{port}/0", policy), relay)
        async with stand.cache:
            yield stand


@asynccontextmanager
async def on_postgres(url: str) -> AsyncIterator[Stand]:
    """Stand on a PostgreSQL, behind a relay; its tables are made beforehand."""
    made = await open_sql(url)
    await made.close()
    parts = make_url(url)
    async with relay_to(parts.port or 0) as (relay, port):
        policy = SqlPolicy(connect_s=DEADLINE_S, call_s=DEADLINE_S, rest_s=0.05)
        behind = parts.set(port=port).render_as_string(hide_password=False)
        sql: SqlStore = PostgresStore(sql_url(behind), policy)
        stand = Stand(TableStore(sql, deadline_s=DEADLINE_S), relay)
        try:
            async with stand.cache:
                yield stand
        finally:
            await sql.close()
