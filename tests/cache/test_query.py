"""The query cache: kept under the cache in force, dropped by writes, seen by nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.cached import cached, use_cache
from hasten.cache.policy import CachePolicy
from hasten.cache.query import QueryCache
from hasten.cache.tiers import Tier
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.errors import StoreError
from hasten.store.memory import MemoryStore
from hasten.store.sql import MemoryTables
from tests.cache.counting import two_processes
from tests.cache.flaky import FlakyStore
from tests.notebook import metadata, notes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

flavours = sa.Table("flavours", sa.MetaData(), sa.Column("flavour", sa.Text, primary_key=True))
"""A table of nobody's."""

ALL = sa.select(notes).order_by(notes.c.note_id)
STORAGE_S = 0.05


def row(note_id: str, user: str = "u", tenant: str = "t") -> dict[str, Any]:
    """Return a row."""
    return {"note_id": note_id, "tenant": tenant, "user": user, "said": "x", "at_s": 0.0}


def of(user: str, tenant: str = "t") -> sa.Select[Any]:
    """Return the query of one person's notes."""
    return ALL.where(notes.c.tenant == tenant, notes.c.user == user)


def tables_of(cache: Cache, tables: sa.MetaData = metadata) -> MemoryTables:
    """Return tables whose answers ``cache`` keeps."""
    found = MemoryTables(tables, STORAGE_S)
    found.queries = QueryCache(cache, tables.tables)
    return found


def with_tables(test: Callable[[MemoryTables], Awaitable[None]]) -> None:
    """Run a test's coroutine on tables with one row, with a cache in force."""

    async def main() -> None:
        async with Cache() as cache:
            with use_cache(cache):
                tables = tables_of(cache)
                await tables.put_many(notes, [row("a")])
                await test(tables)

    virtual.run(main())


async def took(work: Awaitable[object]) -> float:
    """Return how many seconds ``work`` takes."""
    began_s = current_clock().monotonic()
    await work
    return current_clock().monotonic() - began_s


async def is_kept(tables: MemoryTables, query: sa.Select[Any], **options: Any) -> bool:
    """Whether a query need not be asked."""
    return await took(tables.query(query, **options)) == 0.0


def test_the_second_time_costs_nothing() -> None:
    """Whoever of the tenant asks: the words of the query decide. Without the cache it is asked."""

    async def main(tables: MemoryTables) -> None:
        for query in (ALL, of("u"), sa.select(sa.func.count()).select_from(notes)):
            assert not await is_kept(tables, query)
            assert await is_kept(tables, query)
        assert not await is_kept(tables, ALL, use_cache=False)
        set_caller(Caller("local", "ann"))
        assert await is_kept(tables, ALL)
        assert not await is_kept(tables, ALL.where(notes.c.user == "u"))
        set_caller(Caller("acme", "ann"))
        assert not await is_kept(tables, ALL)
        assert await is_kept(tables, of("u"))

    with_tables(main)


def test_what_is_nobodys_is_for_everybody() -> None:
    """An answer from tables without owners."""

    async def main() -> None:
        async with Cache() as cache:
            tables, query = tables_of(cache, flavours.metadata), sa.select(flavours)
            with use_cache(cache):
                await tables.query(query)
                set_caller(Caller("acme", "ann"))
                assert await is_kept(tables, query)
                await tables.put_many(flavours, [{"flavour": "mint"}])
                assert not await is_kept(tables, query)

    virtual.run(main())


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


def test_what_others_write_drops_nothing() -> None:
    """Neither their rows nor a statement that demands them; any other write drops it all."""

    async def main(tables: MemoryTables) -> None:
        await tables.query(of("u"))
        await tables.put_many(notes, [row("b", "v"), row("c", "u", "other")])
        theirs = notes.c.tenant == "t", notes.c.user == "v"
        await tables.execute(sa.update(notes).where(*theirs).values(said="y"))
        await tables.execute(sa.delete(notes).where(*theirs, notes.c.said == "y"))
        await tables.erase("t", "v")
        assert await is_kept(tables, of("u"))
        for write in (
            tables.put_many(notes, [row("d")]),
            tables.put_many(notes, [row("d", "v")]),  # it was theirs
            tables.execute(sa.update(notes).where(*theirs).values(user="u")),
            tables.execute(sa.delete(notes).where(notes.c.user == "v")),
            tables.execute(sa.insert(notes).values(row("e", "v"))),
            tables.write(lambda _: None),
        ):
            await tables.query(of("u"))
            await write
            assert not await is_kept(tables, of("u"))

    with_tables(main)


def test_a_mode_that_reuses_nothing_drops_what_others_keep() -> None:
    """It writes without a cache in force, and asks each time."""

    async def main(tables: MemoryTables) -> None:
        assert len(await tables.query(of("u"))) == 1
        with use_cache(None):
            await tables.query(of("u"))
            assert not await is_kept(tables, of("u"))
            await tables.put_many(notes, [row("b")])
        assert len(await tables.query(of("u"))) == 2

    with_tables(main)


def test_it_lives_as_long_as_asked() -> None:
    """Then it is asked for again."""

    async def main(tables: MemoryTables) -> None:
        await tables.query(ALL, ttl_s=10.0)
        await current_clock().sleep(11.0)
        assert not await is_kept(tables, ALL, ttl_s=10.0)

    with_tables(main)


def test_only_tables_that_are_named_are_kept() -> None:
    """Their writes are told to every process, which costs something."""

    async def main(tables: MemoryTables) -> None:
        tables.queries = QueryCache(Cache(), [])
        await tables.query(ALL)
        assert not await is_kept(tables, ALL)

    with_tables(main)


def test_what_nobody_can_tell_is_asked() -> None:
    """Values without a digest, words that are made as they are asked, no table at all."""

    async def main(tables: MemoryTables) -> None:
        late = sa.bindparam("late", callable_=lambda: "a")
        for query in (ALL.where(notes.c.note_id == late), sa.select(sa.literal(1))):
            await tables.query(query)
            assert not await is_kept(tables, query)

    with_tables(main)


def test_a_query_of_other_types_is_another() -> None:
    """The same words may be read in two ways."""

    async def main(tables: MemoryTables) -> None:
        as_text = sa.select(notes.c.at_s)
        as_bool = sa.select(sa.type_coerce(notes.c.at_s, sa.Boolean).label("at_s"))
        assert (await tables.query(as_text))[0]["at_s"] == 0.0
        assert (await tables.query(as_bool))[0]["at_s"] is False

    with_tables(main)


def test_what_is_built_from_it_falls_with_it() -> None:
    """By a write of that person, not of another; and it is not kept for others than them."""
    count = {"calls": 0}

    @cached(CachePolicy(use="built", scope="user"))
    async def built(user: str) -> int:
        count["calls"] += 1
        return len(await current[0].query(of(user)))

    @cached(CachePolicy(use="shared", scope="tenant"))
    async def shared(user: str) -> int:
        count["calls"] += 1
        return len(await current[0].query(of(user)))

    current: list[MemoryTables] = []

    async def main(tables: MemoryTables) -> None:
        current.append(tables)
        set_caller(Caller("t", "u"))
        assert [await built("u"), await built("u"), count["calls"]] == [1, 1, 1]
        await tables.put_many(notes, [row("b", "v")])
        assert [await built("u"), count["calls"]] == [1, 1]
        await tables.put_many(notes, [row("b2")])
        assert [await built("u"), count["calls"]] == [2, 2]
        assert [await shared("u"), await shared("u"), count["calls"]] == [2, 2, 4]

    with_tables(main)


def test_whose_it_is_can_be_read_nowhere() -> None:
    """Neither in labels nor in tags; it belongs to the person, or to nobody in particular."""

    async def main() -> None:
        store = MemoryStore()
        async with Cache([Tier(store=store)]) as cache:
            tables = tables_of(cache)
            await tables.put_many(notes, [row("a", "annabelle", "initech")])
            with use_cache(cache):
                await tables.query(of("annabelle", "initech"))
                await tables.query(ALL)
            entries = {held.entry.scope: held.entry for held in cache.memory.entries()}
            assert entries["user"].user == "annabelle"
            assert entries["tenant"].tenant == "local"
            told = "".join(part for one in entries.values() for part in (one.label, *one.tags))
            assert "annabelle" not in told
            assert "initech" not in told
            await current_clock().sleep(1.0)
            assert len([one async for one in store.scan()]) == 1  # several people's stays in memory
            assert await cache.erase("initech", "annabelle") == 2
            assert [one async for one in store.scan()] == []

    virtual.run(main())


def test_another_process_hears_of_a_write() -> None:
    """Though it has never asked for anything itself."""

    async def main() -> None:
        here, there = two_processes(MemoryStore())
        tables = tables_of(here)
        others = MemoryTables(metadata, 0.0)
        others._engine = tables._engine
        others.queries = QueryCache(there, metadata.tables)
        async with here, there:
            with use_cache(here):
                assert await tables.query(of("u"), ttl_s=1e6) == []
                await others.put_many(notes, [row("a")])
                await current_clock().sleep(1.0)
                assert len(await tables.query(of("u"), ttl_s=1e6)) == 1

    virtual.run(main())


@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_ledger_that_cannot_be_told(monkeypatch: pytest.MonkeyPatch, *, is_guarded: bool) -> None:
    """Nothing is answered from what is kept until it was told; without that, what was before."""

    async def forgetful(self: QueryCache) -> bool:
        untold, self._untold = self._untold, set()
        try:
            await self._cache.ledger.bump([*untold])
        except StoreError:
            return False
        return True

    if not is_guarded:
        monkeypatch.setattr(QueryCache, "_tell", forgetful)

    async def main() -> None:
        store = FlakyStore(MemoryStore())
        async with Cache([Tier(store=MemoryStore())], ledger=store) as cache:
            tables = tables_of(cache)
            with use_cache(cache):
                assert await tables.query(of("u")) == []
                store.is_down = True
                await tables.put_many(notes, [row("a")])
                assert (len(await tables.query(of("u"))) == 1) is is_guarded
                store.is_down = False
                await current_clock().sleep(2.0)
                assert (len(await tables.query(of("u"))) == 1) is is_guarded
                if is_guarded:
                    assert await is_kept(tables, of("u"))

    virtual.run(main())


def test_a_write_that_is_given_up_drops_too() -> None:
    """Its caller does not know whether it was made: whoever asks next does."""

    async def main(tables: MemoryTables) -> None:
        await tables.query(of("u"))
        done = tables._write

        async def late(work: Any) -> Any:
            try:
                return await done(work)
            finally:
                await current_clock().sleep(10.0)

        tables._write = late  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await tables.put_many(notes, [row("b")])
        assert len(await tables.query(of("u"))) == 2

    with_tables(main)


def test_a_query_made_once_is_kept_by_its_values() -> None:
    """Each person's by itself; a value that is not given is told, not taken for another's."""

    async def main(tables: MemoryTables) -> None:
        query = ALL.where(*(notes.c[name] == sa.bindparam(name) for name in ("tenant", "user")))
        ours, theirs = {"tenant": "t", "user": "u"}, {"tenant": "t", "user": "v"}
        assert await tables.query(query, ours) == await tables.rows(query, ours) == [row("a")]
        assert await tables.query(query, theirs) == []
        await tables.put_many(notes, [row("b", "v")])
        assert await took(tables.query(query, ours)) == 0.0
        assert await tables.query(query, theirs) == [row("b", "v")]
        for _ in range(2):
            with pytest.raises(StoreError, match="'user'"):
                await tables.query(query, {"tenant": "t"})

    with_tables(main)
