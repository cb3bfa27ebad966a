"""What the tiers stand on and nothing else: a dict, a GET of redis-py, a SELECT on a thread."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch, Opened


def open_cache(where: str, fetch: Fetch) -> Opened:
    """Open one of the three."""
    if "://" in where:
        return _redis(where, fetch)
    return _sqlite(where, fetch) if where else _dict(fetch)


@asynccontextmanager
async def _dict(fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    found: dict[Any, str] = {}

    async def call(*key: Any) -> str:
        if key not in found:
            found[key] = await fetch(*key)
        return found[key]

    yield lambda *key: partial(call, *key)


open_fields = _dict


@asynccontextmanager
async def _redis(url: str, fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    async with Redis.from_url(url, protocol=2) as client:

        async def call(name: str) -> str:
            data: bytes | None = await client.get(name)
            if data is None:
                data = (await fetch(name)).encode()
                await client.set(name, data)
            return data.decode()

        yield lambda name: partial(call, name)


@asynccontextmanager
async def _sqlite(folder: str, fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    path = Path(folder) / "bare.db"
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as on:
        on.execute("PRAGMA journal_mode = WAL")
        on.execute("PRAGMA synchronous = NORMAL")
        on.execute("CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")

        def get(name: str) -> str | None:
            row = on.execute("SELECT text FROM texts WHERE name = ?", (name,)).fetchone()
            return None if row is None else row[0]

        async def call(name: str) -> str:
            text = await asyncio.to_thread(get, name)
            if text is None:
                text = await fetch(name)
                on.execute("INSERT INTO texts VALUES (?, ?)", (name, text))
            return text

        yield lambda name: partial(call, name)
