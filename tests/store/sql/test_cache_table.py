"""The table of a database as a store of bytes: room, time, news and what must be gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hasten.clock import current_clock
from hasten.errors import StoreUnavailable
from hasten.store.base import Changes, Item
from hasten.store.sql import SqlSink, TableStore, cache_table, open_sql
from hasten.store.sql.postgres import CLOSE_S
from hasten.testing.sink_contract import run_record
from hasten.testing.store_contract import digest, item
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hasten.testing.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hasten.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@asynccontextmanager
async def opened(
    url: str, max_bytes: int = 1 << 30, deadline_s: float = 10
) -> AsyncIterator[TableStore]:
    """Open a table for a block."""
    sql = await open_sql(url)
    try:
        yield TableStore(sql, max_bytes, deadline_s=deadline_s)
    finally:
        await sql.close()


def kept(name: str, data: bytes) -> Item:
    """Return an item that is never dropped for size."""
    return Item(key=digest(name), data=data, created_s=current_clock().now(), is_kept=True)


def test_what_is_kept_is_never_dropped_for_size(url: str) -> None:
    """Copies make room for new ones, soonest to expire first; what is kept takes none of it."""

    async def main() -> None:
        async with opened(url, max_bytes=50_000) as store:
            reruns = [kept(f"rerun {n}", bytes(10_000)) for n in range(20)]
            await store.set_many(reruns)
            for n in range(100):
                await store.set_many([item(n, bytes(1_000), age_s=-n)])
            await store.trim()
            assert None not in await store.get_many([one.key for one in reruns])
            size = await store.size()
            assert 45_000 <= size.bytes - 200_000 <= 50_000
            assert await store.get_many([digest(0), digest(99)]) == [None, bytes(1_000)]

    asyncio.run(main())


def test_what_expired_goes_by_and_by(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired copies are deleted between writes, so that nobody has to ask for it."""
    monkeypatch.setattr(cache_table, "TRIM_AFTER_ITEMS", 50)

    async def main() -> None:
        async with opened(url) as store:
            now_s = current_clock().now()
            old = [
                Item(key=digest(n), data=b"x", created_s=now_s - 9, expires_s=now_s - 1)
                for n in range(250)
            ]
            await store.set_many(old[:40])
            assert (await store.size()).entries == 40
            await store.set_many(old[40:])
            assert (await store.size()).entries == 0

    asyncio.run(main())


def test_two_processes_trim_at_once(url: str) -> None:
    """Neither waits for the other, nor do they fail each other."""

    async def main() -> None:
        async with opened(url, 1_000) as store, opened(url, 1_000) as other:
            items = [item(n, bytes(100)) for n in range(400)]
            await asyncio.gather(store.set_many(items), other.set_many(items[::-1]))
            await asyncio.gather(store.trim(), other.trim())
            assert (await store.size()).bytes <= 1_000

    asyncio.run(main())


def test_reruns_do_not_crowd_out_the_history(url: str) -> None:
    """What the cache keeps is not counted as what runs take, or runs were dropped for it."""

    async def main() -> None:
        sql = await open_sql(url)
        store, sink = TableStore(sql, deadline_s=10), SqlSink(sql)
        await sink.save(run_record("r1"))
        before = await sink.held_bytes()
        await store.set_many([kept(f"rerun {n}", bytes(30_000)) for n in range(100)])
        assert await sink.held_bytes() < before + 200_000
        assert await sink.prune_to_bytes(before + 200_000) == 0
        await sql.close()

    asyncio.run(main())


def test_what_was_deleted_cannot_be_read_from_the_file(tmp_path: Path) -> None:
    """An erased person's words are in neither the SQLite file nor its log."""
    owner, secret = b"o" * 16, b"I was dismissed from my last position"

    def files() -> bytes:
        return b"".join(one.read_bytes() for one in tmp_path.iterdir())

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/hasten.db") as store:
            await store.set_many([item("a", secret * 50, owner=owner), item("b", b"other")])
            assert secret in files()
            assert await store.delete_owned(b"") == 0
            assert await store.delete_owned(owner) == 1
            assert secret not in files()
            assert await store.get_many([digest("b")]) == [b"other"]

    asyncio.run(main())


def test_marks_beyond_the_most_raise_the_floor(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten can bring nothing back."""
    monkeypatch.setattr(cache_table, "MARKS_KEPT", 10)
    monkeypatch.setattr(cache_table, "FORGET_EVERY", 1)

    async def main() -> None:
        async with opened(url) as store:
            epochs = [await store.bump([b"%016d" % number]) for number in range(30)]
            changes = await store.changes(0)
            assert len(changes.bumps) == 10
            assert changes.floor == epochs[19]

    asyncio.run(main())


def test_only_the_newest_notes_are_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trail does not grow for ever."""
    monkeypatch.setattr(cache_table, "NOTES_KEPT", 5)

    async def main() -> None:
        async with opened(url) as store:
            for number in range(20):
                await store.note(b"%d" % number)
            assert await store.notes(100) == [b"19", b"18", b"17", b"16", b"15"]

    asyncio.run(main())


def test_generations_that_were_lost_begin_anew_above(url: str) -> None:
    """A table that somebody emptied tells so, and what is bumped then is above what was."""

    async def main() -> None:
        sql = await open_sql(url)
        store = TableStore(sql, deadline_s=10)
        epoch = await store.bump([b"m" * 16])
        await store.set_many([item("a", b"1")])
        await sql.write(lambda on: on.execute(text("DELETE FROM cache_generation")))
        assert (await store.changes(epoch)) == Changes(0, 0, {})
        assert await store.get_many([digest("a")]) == [None]
        await store.restart(epoch + 5_000_000)
        assert (await store.changes(epoch)).floor > epoch + 5_000_000
        assert await store.bump([]) > epoch + 5_000_000
        await sql.close()

    asyncio.run(main())


def test_a_bump_is_told_at_once_and_the_end_of_news_too(postgres_server: PostgresServer) -> None:
    """Through PostgreSQL who listens hears each epoch; when the server goes, that it is over."""

    async def main() -> None:
        url, heard = postgres_server.new_database(), asyncio.Queue[int]()
        async with opened(url) as store, opened(url) as other:
            listening = asyncio.create_task(store.listen(heard.put_nowait))
            await _until_listening(other)
            epoch = await other.bump([b"m" * 16])
            assert await asyncio.wait_for(heard.get(), 5) == epoch
            postgres_server.stop()
            try:
                with pytest.raises(StoreUnavailable):
                    await asyncio.wait_for(listening, 5)
            finally:
                postgres_server.start()
            listening = asyncio.create_task(store.listen(heard.put_nowait))
            await _until_listening(other)
            epoch = await other.bump([b"m" * 16])
            assert await asyncio.wait_for(heard.get(), 5) == epoch
            listening.cancel()
            await asyncio.wait([listening])

    asyncio.run(main())


async def _until_listening(store: TableStore) -> None:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    await until(lambda: store._sql.read(lambda on: bool(on.scalar(query))))


def test_a_frozen_server_costs_the_deadline(postgres_server: PostgresServer) -> None:
    """The table's own deadline, which is shorter than the database's; and then it works on."""

    async def main() -> None:
        async with opened(postgres_server.new_database(), deadline_s=0.2) as store:
            await store.set_many([item("a", b"1")])
            with postgres_server.frozen():
                for _ in range(3):
                    began_s = current_clock().monotonic()
                    with pytest.raises(StoreUnavailable):
                        await store.get_many([digest("a")])
                    assert current_clock().monotonic() - began_s < 0.2 + CLOSE_S + 0.5
            assert not store._sql.breaker.is_open
            assert await store.get_many([digest("a")]) == [b"1"]

    asyncio.run(main())
