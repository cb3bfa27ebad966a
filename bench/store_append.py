"""What keeping one event costs: our SQLite thread beside SQLAlchemy's own async SQLite (aiosqlite).

Run from a checkout: ``.venv-bench/bin/python bench/store_append.py``. Both write the same row into
the same table, one commit each, with the same settings; then a thousand writers write at once.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import create_async_engine

from hasten.store.sql import SqlSink, open_sql
from hasten.store.sql.batch import insert_new
from hasten.store.sql.schema import events, metadata
from hasten.testing.sink_contract import run_events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Append = Callable[[int], Awaitable[None]]

COUNT = 1_000


async def measure(name: str, append: Append) -> None:
    """Print the microseconds of one append after another, and of as many at once."""
    took_us = []
    for number in range(COUNT):
        began_s = time.perf_counter()
        await append(number)
        took_us.append((time.perf_counter() - began_s) * 1e6)
    began_s = time.perf_counter()
    await asyncio.gather(*(append(COUNT + number) for number in range(COUNT)))
    each_us = (time.perf_counter() - began_s) / COUNT * 1e6
    one_us = statistics.median(took_us)
    print(f"{name:12} one after another {one_us:7.0f} us, at once {each_us:7.0f} us each")


async def ours(folder: Path) -> None:
    """Append through the sink the server uses."""
    store = await open_sql(f"sqlite:///{folder}/ours.db")
    sink = SqlSink(store)
    await measure("hasten", lambda number: sink.append(run_events("r", [number], text="x" * 100)))
    await store.close()


async def theirs(folder: Path) -> None:
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

    await measure("aiosqlite", append)
    await engine.dispose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(ours(Path(name)))
        asyncio.run(theirs(Path(name)))
