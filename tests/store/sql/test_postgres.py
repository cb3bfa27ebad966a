"""PostgreSQL: stopped, frozen, restarted, crowded; and what the sink does there alone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

from hasten.clock import Clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.sql import SqlPolicy, SqlSink, SqlStore, open_sql
from hasten.store.sql.postgres import CLOSE_S
from hasten.testing.sink_contract import run_events, run_record
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

    from hasten.testing.postgres import PostgresServer

HASTY = SqlPolicy(connect_s=1.0, call_s=1.0, rest_s=0.0)


@asynccontextmanager
async def opened(url: str, policy: SqlPolicy | None = None) -> AsyncIterator[SqlStore]:
    """Open the database for a block."""
    store = await open_sql(url, policy)
    try:
        yield store
    finally:
        await store.close()


async def numbers(sink: SqlSink) -> list[int | None]:
    """Return the numbers of the events of ``r1``."""
    return [event.seq for event in await sink.events("r1")]


def test_a_stopped_server_is_unavailable_and_comes_back(postgres_server: PostgresServer) -> None:
    """While it is away each call says so; once it is back the same store works on."""

    async def main() -> None:
        async with opened(postgres_server.new_database(), HASTY) as store:
            sink = SqlSink(store)
            await sink.append(run_events("r1", [1]))
            postgres_server.stop()
            try:
                for _ in range(2):
                    with pytest.raises(StoreUnavailable):
                        await sink.append(run_events("r1", [2]))
            finally:
                postgres_server.start()
            await sink.append(run_events("r1", [2]))
            assert await numbers(sink) == [1, 2]

    asyncio.run(main())


def test_a_restart_between_two_calls_is_not_noticed(postgres_server: PostgresServer) -> None:
    """The pool finds its dead connections before it lends one."""

    async def main() -> None:
        async with opened(postgres_server.new_database()) as store:
            sink = SqlSink(store)
            await asyncio.gather(*(sink.append(run_events("r1", [n])) for n in range(1, 9)))
            postgres_server.stop()
            postgres_server.start()
            await asyncio.gather(*(sink.append(run_events("r1", [n])) for n in range(9, 17)))
            assert await numbers(sink) == list(range(1, 17))

    asyncio.run(main())


def test_a_frozen_server_costs_the_deadline(postgres_server: PostgresServer) -> None:
    """A server that takes everything and says nothing is given up in time, and forgiven later."""

    async def main() -> None:
        async with opened(postgres_server.new_database(), HASTY) as store:
            sink = SqlSink(store)
            await sink.append(run_events("r1", [1]))
            loop = asyncio.get_running_loop()
            with postgres_server.frozen():
                began_s = loop.time()
                with pytest.raises(StoreUnavailable, match="did not answer in time"):
                    await sink.append(run_events("r1", [2]))
                took_s = loop.time() - began_s
            assert HASTY.call_s <= took_s < HASTY.call_s + CLOSE_S + 1.0
            await sink.append(run_events("r1", [2]))
            assert await numbers(sink) == [1, 2]

    asyncio.run(main())


def test_a_frozen_server_costs_one_deadline_for_all(postgres_server: PostgresServer) -> None:
    """Once one call has waited in vain, the others are told at once."""
    policy = SqlPolicy(connect_s=1.0, call_s=1.0, rest_s=600.0)

    async def main() -> None:
        url = postgres_server.new_database()
        async with opened(url, policy) as store:
            sink = SqlSink(store)
            with postgres_server.frozen():
                for said in ("did not answer in time", *["asked again"] * 50):
                    with pytest.raises(StoreUnavailable, match=said):
                        await sink.append(run_events("r1", [1]))

    asyncio.run(main())


def test_a_statement_that_hangs_is_ended_on_the_server_too(postgres_url: str) -> None:
    """A row somebody else has locked is not waited for longer than the deadline."""

    async def main() -> None:
        async with opened(postgres_url) as other, opened(postgres_url, HASTY) as store:
            sink = SqlSink(store)
            await sink.save(run_record("r1"))
            locked, release = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                async with other._engine.begin() as connection:  # type: ignore[attr-defined]
                    await connection.execute(text("SELECT * FROM runs FOR UPDATE"))
                    locked.set()
                    await release.wait()

            holding = asyncio.create_task(hold())
            await locked.wait()
            with pytest.raises(StoreUnavailable):
                await sink.save(run_record("r1", status="failed"))
            release.set()
            await holding
            await sink.save(run_record("r1", status="failed"))
            assert (await sink.run("r1")).status == "failed"

    asyncio.run(main())


def test_many_more_callers_than_connections(postgres_url: str) -> None:
    """They wait their turn; ten thousand events come through."""

    async def write(sink: SqlSink, first: int) -> None:
        await sink.append(run_events("r1", range(first, first + 1_000), text="x" * 100))

    async def main() -> None:
        async with opened(postgres_url, SqlPolicy(pool_size=2, call_s=30.0)) as store:
            sink = SqlSink(store)
            await asyncio.gather(*(write(sink, first) for first in range(1, 10_001, 1_000)))
            assert await numbers(sink) == list(range(1, 10_001))

    asyncio.run(main())


def test_pruning_to_a_size_counts_what_rows_hold(postgres_url: str) -> None:
    """The oldest runs go until the rest fits; pruning again finds nothing to do."""

    async def main() -> None:
        async with opened(postgres_url) as store:
            sink = SqlSink(store)
            for number in range(40):
                await sink.save(run_record(f"r{number:02}", started_s=float(number)))
                await sink.append(run_events(f"r{number:02}", [1], text="x" * 10_000))
            assert await store.held_bytes() > 400_000
            dropped = await sink.prune_to_bytes(100_000)
            kept = [run.run_id for run in await sink.runs(RunFilter())]
            assert len(kept) == 40 - dropped > 5
            assert kept[0] == "r39"
            assert await store.held_bytes() <= 100_000
            assert await sink.prune_to_bytes(100_000) == 0
            assert await sink.prune_to_bytes(0) == len(kept)

    asyncio.run(main())


def test_freed_space_is_used_again(postgres_url: str) -> None:
    """An erasure is followed by a vacuum, under which the pool's own deadlines do not change."""

    async def main() -> None:
        async with opened(postgres_url, SqlPolicy(pool_size=1)) as store:
            sink = SqlSink(store)

            async def ask(question: str) -> object:
                return await store.read(lambda it: it.execute(text(question)).scalar_one())

            await sink.save(run_record("r1"))
            await sink.append(run_events("r1", range(1, 1_001)))
            assert await ask("SELECT pg_relation_size('events')") != 0
            assert await sink.erase("acme", "ann") == 1
            assert await ask("SELECT pg_relation_size('events')") == 0
            assert await ask("SHOW statement_timeout") == "5s"

    asyncio.run(main())


def test_a_driver_that_lost_its_way_is_as_good_as_a_lost_server(postgres_url: str) -> None:
    """Its own errors come from connections that were cut off: trying later helps."""

    async def main() -> None:
        async with opened(postgres_url, HASTY) as store:
            for error in (asyncpg.InternalClientError("state 12"), asyncpg.InterfaceError("busy")):

                def work(_: Connection, error: Exception = error) -> None:
                    raise error

                with pytest.raises(StoreUnavailable):
                    await store.read(work)
            with pytest.raises(StoreError) as refused:
                await store.read(lambda on: on.execute(text("SELECT 1 / 0")))
            assert not isinstance(refused.value, StoreUnavailable)

    asyncio.run(main())


def test_a_line_is_asked_again_after_a_silence(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been cut without a word; one that was just used need not be asked."""
    pings: list[object] = []

    def ping(line: object) -> None:
        pings.append(line)

    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "ping", ping)

    async def main() -> list[int]:
        async with opened(postgres_server.new_database()) as store:
            counts = []
            for silent_s in (0.0, 0.0, 100.0):
                later_s = Clock().monotonic() + silent_s
                with monkeypatch.context() as patch:
                    patch.setattr(Clock, "monotonic", lambda _, at_s=later_s: at_s)
                    await store.read(lambda connection: connection.execute(text("SELECT 1")))
                counts.append(len(pings))
            return counts

    assert asyncio.run(main()) == [0, 0, 1]
