"""The query cache: kept under the cache in force, dropped by writes, seen by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.cached import use_cache
from hasten.cache.query import QueryCache
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.store.sql import MemoryTables
from tests.notebook import metadata, notes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ALL = sa.select(notes).order_by(notes.c.note_id)
STORAGE_S = 0.05


def row(note_id: str) -> dict[str, Any]:
    """Return a row."""
    return {"note_id": note_id, "tenant": "t", "user": "u", "said": "x", "at_s": 0.0}


def with_tables(test: Callable[[MemoryTables], Awaitable[None]]) -> None:
    """Run a test's coroutine on tables with one row, with a cache in force."""

    async def main() -> None:
        tables = MemoryTables(metadata, STORAGE_S)
        tables.queries = QueryCache()
        await tables.put_many(notes, [row("a")])
        async with Cache() as cache:
            with use_cache(cache):
                await test(tables)

    virtual.run(main())


async def took(work: Awaitable[object]) -> float:
    """Return how many seconds ``work`` takes."""
    began_s = current_clock().monotonic()
    await work
    return current_clock().monotonic() - began_s


def test_the_second_time_costs_nothing() -> None:
    """For everybody: the words of the query decide its answer. Without the cache it is asked."""

    async def main(tables: MemoryTables) -> None:
        assert await took(tables.query(ALL)) == STORAGE_S
        assert await took(tables.query(ALL)) == 0.0
        set_caller(Caller("acme", "ann"))
        assert await took(tables.query(ALL)) == 0.0
        assert await took(tables.query(ALL, use_cache=False)) > 0.0
        assert await took(tables.query(ALL.where(notes.c.user == "u"))) > 0.0

    with_tables(main)


def test_a_write_drops_what_it_touches() -> None:
    """By each of the ways to write; rows handed out before are nobody else's to change."""

    async def main(tables: MemoryTables) -> None:
        first = await tables.query(ALL)
        first[0]["said"] = "spoilt"
        assert (await tables.query(ALL))[0]["said"] == "x"
        await tables.put_many(notes, [row("b")])
        assert len(await tables.query(ALL)) == 2
        await tables.execute(sa.delete(notes).where(notes.c.note_id == "a"))
        assert len(await tables.query(ALL)) == 1
        await tables.write(lambda connection: connection.execute(sa.delete(notes)))
        assert await tables.query(ALL) == []

    with_tables(main)


def test_it_lives_as_long_as_asked() -> None:
    """Then it is asked for again."""

    async def main(tables: MemoryTables) -> None:
        await tables.query(ALL, ttl_s=10.0)
        await current_clock().sleep(11.0)
        assert await took(tables.query(ALL, ttl_s=10.0)) > 0.0

    with_tables(main)


def test_without_a_cache_every_query_is_asked() -> None:
    """As in a mode that reuses nothing."""

    async def main(tables: MemoryTables) -> None:
        with use_cache(None):
            await tables.query(ALL)
            assert await took(tables.query(ALL)) > 0.0

    with_tables(main)
