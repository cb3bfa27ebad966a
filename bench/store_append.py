"""What keeping one event costs: our SQLite thread beside SQLAlchemy's own async SQLite (aiosqlite).

Both write the same row into the same table, one commit each, with the same
settings: one after another, then by a thousand writers at once.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import create_async_engine

from bench.harness import OURS, Case
from hasten.store.sql import SqlSink, open_sql
from hasten.store.sql.batch import insert_new
from hasten.store.sql.schema import events, metadata
from hasten.testing.sink_contract import run_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    Append = Callable[[int], Awaitable[None]]
    Opened = Callable[[Path], AbstractAsyncContextManager[Append]]
    Pace = Callable[[Append], Awaitable[None]]

TITLE = "The store: what keeping one event costs"

COUNT = 1_000


def cases() -> list[Case]:
    """Return what is measured."""
    return [
        Case(
            name,
            "µs an event",
            {OURS: partial(_each_us, _ours, pace), "aiosqlite": _if_there(pace)},
            bare="aiosqlite",
        )
        for name, pace in (("one after another", _in_turn), ("a thousand at once", _at_once))
    ]


def _if_there(pace: Pace) -> Callable[[], float] | str:
    return partial(_each_us, _theirs, pace) if find_spec("aiosqlite") else "not installed"


def _each_us(opened: Opened, pace: Pace) -> float:
    """Return the microseconds of one append into a new database."""

    async def main() -> float:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder)) as append:
                began_s = perf_counter()
                await pace(append)
                return (perf_counter() - began_s) / COUNT * 1e6

    return asyncio.run(main())


async def _in_turn(append: Append) -> None:
    for number in range(COUNT):
        await append(number)


async def _at_once(append: Append) -> None:
    await asyncio.gather(*(append(number) for number in range(COUNT)))


@asynccontextmanager
async def _ours(folder: Path) -> AsyncIterator[Append]:
    """Append through the sink the server uses."""
    store = await open_sql(f"sqlite:///{folder}/ours.db")
    sink = SqlSink(store)
    yield lambda number: sink.append(run_events("r", [number], text="x" * 100))
    await store.close()


@asynccontextmanager
async def _theirs(folder: Path) -> AsyncIterator[Append]:
    """Append through an ``AsyncEngine`` on aiosqlite."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/theirs.db")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    async def append(number: int) -> None:
        (event,) = run_events("r", [number], text="x" * 100)
        row = {name: getattr(event, name) for name in event.__struct_fields__}
        async with engine.begin() as connection:
            await connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
            await connection.run_sync(partial(insert_new, table=events, rows=[row]))

    yield append
    await engine.dispose()
