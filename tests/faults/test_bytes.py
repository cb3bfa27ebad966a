"""A cache whose store has no room or gives back other bytes: misses and counters, never a lie."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import redis
from sqlalchemy import text

from hasten.cache import tiers
from hasten.errors import StoreError
from hasten.store.disk import DiskStore
from hasten.store.sql import TableStore
from tests.faults import stand
from tests.faults.stand import Stand, on_postgres, on_redis, recover_quickly, value_of
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path
    from typing import Any

KINDS = ("redis", "postgres", "disk")
PLENTY_PAGES = 1_000_000


class Place:
    """Where one kind of store keeps its bytes, reached past the store."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        self.kind = kind
        self._url = url
        self._path = folder / "cache.db"

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        """Open a cache on it."""
        if self.kind == "disk":
            opened = Stand(DiskStore(self._path))
            async with opened.cache:
                yield opened
            return
        async with (on_redis if self.kind == "redis" else on_postgres)(self._url) as opened:
            yield opened

    async def change(self, opened: Stand, old: bytes, new: bytes) -> int:
        """Put ``new`` for ``old`` into every entry; return how many there were."""
        if self.kind == "redis":
            with redis.Redis.from_url(self._url) as client:
                keys: Any = client.keys("*:e:*")
                for key in keys:
                    client.set(key, bytes(client.get(key) or b"").replace(old, new))  # type: ignore[arg-type]  # no Awaitable
                return len(keys)
        if self.kind == "disk":
            with sqlite3.connect(self._path) as file:
                query = "UPDATE entries SET data = CAST(replace(data, ?, ?) AS BLOB)"
                return file.execute(query, (old, new)).rowcount
        assert isinstance(opened.store, TableStore)
        query = text(
            "UPDATE cache_entries"
            " SET data = decode(replace(encode(data, 'hex'), :old, :new), 'hex')"
        )
        words = {"old": old.hex(), "new": new.hex()}
        return await opened.store._sql.write(lambda on: on.execute(query, words).rowcount)

    async def fill_up(self, opened: Stand) -> None:
        """Leave no room for anything new."""
        if self.kind == "redis":
            await self._limit_redis(1)
        elif self.kind == "disk":
            await self._limit_pages(opened, 1)
        else:
            await self._refuse_rows(
                opened,
                "CREATE FUNCTION full_disk() RETURNS trigger AS "
                "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$ "
                "LANGUAGE plpgsql",
            )
            await self._refuse_rows(
                opened,
                "CREATE TRIGGER full_disk BEFORE INSERT ON cache_entries "
                "EXECUTE FUNCTION full_disk()",
            )

    async def make_room(self, opened: Stand) -> None:
        """Let there be room again."""
        if self.kind == "redis":
            await self._limit_redis(0)
        elif self.kind == "disk":
            await self._limit_pages(opened, PLENTY_PAGES)
        else:
            await self._refuse_rows(opened, "DROP TRIGGER full_disk ON cache_entries")

    async def _limit_redis(self, most_bytes: int) -> None:
        with redis.Redis.from_url(self._url) as client:
            client.config_set("maxmemory", most_bytes)

    async def _limit_pages(self, opened: Stand, pages: int) -> None:
        assert isinstance(opened.store, DiskStore)
        query = f"PRAGMA max_page_count = {pages}"
        await opened.store._thread.read(lambda on: on.execute(query).fetchall())

    async def _refuse_rows(self, opened: Stand, statement: str) -> None:
        assert isinstance(opened.store, TableStore)
        await opened.store._sql.write(lambda on: on.execute(text(statement)))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give each kind, empty."""
    url = "" if request.param == "disk" else request.getfixturevalue(f"{request.param}_url")
    yield Place(request.param, url, tmp_path)
    if request.param == "redis":
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for a lost store more often than usual."""
    recover_quickly(monkeypatch)


async def bytes_change(place: Place, opened: Stand) -> None:
    """Store a value, change one of its letters in the store, and ask for it again."""
    await opened.check_hits("before")
    changed = await place.change(opened, b"before", b"befOre")
    assert changed == 1
    computed = opened.computed
    assert await opened.call("before") == value_of("before")
    assert opened.computed == computed + 1
    assert opened.cache.stats.of("tool", opened.tier.name).errors >= 1
    await opened.check_hits("before")


async def room_runs_out(place: Place, opened: Stand) -> None:
    """Store a value, leave no room, go on, and make room again."""
    await opened.check_hits("before")
    await place.fill_up(opened)
    errors, computed = opened.tier.errors, opened.computed
    for _ in range(5):
        large = os.urandom(30_000).hex()
        assert await opened.call(large) == value_of(large)
    await until(lambda: opened.tier.errors > errors, stand.RECOVERY_S)
    assert opened.computed == computed + 5
    await until(lambda: opened.tier.is_available, stand.RECOVERY_S)
    assert await opened.call("before") == value_of("before")
    assert opened.computed == computed + 5
    await place.make_room(opened)
    await opened.check_recovers("after")


async def run_on(
    place: Place, scenario: Callable[[Place, Stand], Coroutine[Any, Any, None]]
) -> None:
    """Play a scenario on a cache of its own."""
    async with place.stand() as opened:
        await scenario(place, opened)


def test_changed_bytes_are_a_miss(place: Place) -> None:
    """Whatever a store gives back that is not what was put there is computed anew and counted."""
    asyncio.run(run_on(place, bytes_change))


def test_without_the_checksum_changed_bytes_would_be_served(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is the checksum in the envelope."""
    monkeypatch.setattr("hasten.cache.entry.zlib.crc32", lambda _: 0)
    with pytest.raises(AssertionError, match="befOre"):
        asyncio.run(run_on(place, bytes_change))


def test_a_full_store_goes_on_reading(place: Place) -> None:
    """Redis at its maxmemory, a full disk: what is new is computed each time, the rest is there."""
    asyncio.run(run_on(place, room_runs_out))


def test_without_its_guard_a_full_store_fails_requests(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is that a tier's error is a counter."""
    monkeypatch.setattr(tiers, "StoreError", ZeroDivisionError)
    monkeypatch.setattr(stand, "RECOVERY_S", 1.0)
    with pytest.raises((AssertionError, StoreError, TimeoutError)):
        asyncio.run(run_on(place, room_runs_out))
