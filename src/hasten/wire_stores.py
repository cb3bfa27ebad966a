"""The stores that every process of ours opens: database, cache, keys, runs that were kept.

Owns opening them, among the peers that share them, keeping them within their bounds, and
closing them. A gateway by itself needs no more, and loads no more; ``wire`` puts the rest of
a ``Runtime`` on top.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from hasten.cache.cache import Cache
from hasten.cache.shown import stats_lines
from hasten.cache.tiers import SHARED_RESIDENCE_S, Tier
from hasten.clock import current_clock
from hasten.errors import SettingsError, StoreError
from hasten.store.disk import DiskStore
from hasten.store.keys import KeyStore
from hasten.store.peers import Peers
from hasten.store.sql import SqlPolicy, TableStore, open_sql
from hasten.store.sql.run_table import RunTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hasten.settings import Settings
    from hasten.store.base import ByteStore
    from hasten.store.sql import SqlStore

_log = logging.getLogger(__name__)

PRUNE_EVERY_S = 3_600.0


async def open_database(settings: Settings, branches: Sequence[Path] = ()) -> SqlStore:
    """Return the database the settings name, its tables up to date, those of ``branches`` too.

    Raises ``SettingsError`` for a state folder that cannot be, and what
    ``store.sql.open_sql`` raises.
    """
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"the state folder {settings.home} cannot be made: {error.strerror}"
        raise SettingsError(message) from None
    policy = SqlPolicy(survives_power_loss=settings.durability == "power")
    return await open_sql(settings.runs_url, policy, branches=branches)


def open_cache(settings: Settings, sql: SqlStore, peers: Peers | None = None) -> Cache:
    """Return the cache the settings describe: memory, what servers share, the home folder.

    Servers share Redis or, without one, a PostgreSQL. What is kept, such as reruns,
    lives in a table of the database, and so do the generations it goes by, unless
    Redis reaches farther than the database. ``peers`` hear at once of what is dropped in
    a file; without them they find it within a second.
    """
    table = TableStore(sql, peers=peers if sql.reach == "machine" else None)
    shared: list[ByteStore] = [table] if table.reach == "network" else []
    if settings.redis_url:
        from hasten.store.redis import RedisStore

        shared = [RedisStore(settings.redis_url)]
    tiers = [Tier(store=one, residence_s=SHARED_RESIDENCE_S) for one in shared]
    tiers.append(Tier(store=DiskStore(settings.home / "cache.db", settings.cache_disk_bytes)))
    is_widest = table.reach == "network" or not shared
    return Cache(
        tiers,
        kept=table,
        ledger=table if is_widest else None,
        memory_bytes=settings.cache_memory_bytes,
    )


def open_peers(settings: Settings) -> Peers:
    """Return this process among the others of the state folder, from now on."""
    peers = Peers(settings.home / "peers")
    peers.open()
    return peers


class Stores:
    """Open stores. ``open()`` them, ``close()`` them."""

    def __init__(self, settings: Settings, sql: SqlStore, cache: Cache, peers: Peers) -> None:
        self.settings = settings
        self.peers = peers
        self.sql = sql
        self.cache = cache
        self.keys = KeyStore(sql)
        self.sink = RunTable(sql)
        self._pruner: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Open the stores and bring their schema up to date. Raises as ``open_database`` does."""
        sql = await open_database(settings)
        peers = open_peers(settings)
        cache = await open_cache(settings, sql, peers).__aenter__()
        return cls(settings, sql, cache, peers)

    @property
    def database(self) -> str:
        """Which database the runs are kept in, without its password."""
        return self.sql.name

    def keep_house(self) -> None:
        """Drop old runs from now on, again and again, until ``close``."""
        self._pruner = asyncio.create_task(self._prune_now_and_then(), name="prune")

    async def close(self) -> None:
        """Give everything back, and tell what the cache was good for."""
        if self._pruner is not None:
            self._pruner.cancel()
            await asyncio.wait([self._pruner])
        for line in stats_lines(self.cache):
            _log.info("%s", line)
        await self.cache.close()
        await self.sql.close()
        self.peers.close()

    async def _prune_now_and_then(self) -> None:
        while True:
            try:
                before_s = current_clock().now() - self.settings.retention_days * 86_400
                await self.sink.prune(before_s=before_s)
                await self.sink.prune_to_bytes(self.settings.max_disk_bytes)
            except StoreError as error:
                _log.warning("old runs were not dropped: %s", error)
            await current_clock().sleep(PRUNE_EVERY_S)
