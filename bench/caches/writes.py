"""What writing to disk costs when many write at once; what is written survives a kill."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench.caches import run, text
from hasten.store.base import Item
from hasten.store.disk import DiskStore

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 512


def writers(size_bytes: int, count: int) -> dict[str, Callable[[], float] | str]:
    """Return who writes ``count`` values of that size; each gives the microseconds of one."""
    data = text(size_bytes).encode()
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    return {
        "hasten": lambda: _in_folder(lambda folder: run(_ours_s(folder, digests, data)), count),
        "diskcache": lambda: _in_folder(lambda folder: _diskcache_s(folder, digests, data), count),
        "bare": lambda: _in_folder(lambda folder: _bare_s(folder, digests, data), count),
    }


def _in_folder(figure: Callable[[Path], float], count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return figure(Path(folder)) / count * 1e6


async def _ours_s(folder: Path, digests: list[bytes], data: bytes) -> float:
    """Write each by itself and all at once; the store makes batches of them."""
    store = DiskStore(folder / "ours.db", deadline_s=60)
    await store.ping()
    items = [Item(key=one, data=data, created_s=0.0, expires_s=4e9) for one in digests]
    began_s = perf_counter()
    await asyncio.gather(*(store.set_many((item,)) for item in items))
    took_s = perf_counter() - began_s
    await store.close()
    return took_s


def _diskcache_s(folder: Path, digests: list[bytes], data: bytes) -> float:
    """Write batches, each in a transaction, which is its own way to be quick."""
    from diskcache import Cache

    with Cache(folder) as cache:
        began_s = perf_counter()
        for first in range(0, len(digests), BATCH):
            with cache.transact():
                for digest in digests[first : first + BATCH]:
                    cache.set(digest, data)
        return perf_counter() - began_s


def _bare_s(folder: Path, digests: list[bytes], data: bytes) -> float:
    """Write the same batches into a table with nothing but a key."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as on:
        on.execute("PRAGMA journal_mode = WAL")
        on.execute("PRAGMA synchronous = NORMAL")
        on.execute("CREATE TABLE data (id INTEGER PRIMARY KEY, data BLOB)")
        rows = [(int.from_bytes(one[:8], signed=True), data) for one in digests]
        began_s = perf_counter()
        for first in range(0, len(rows), BATCH):
            on.execute("BEGIN")
            on.executemany("INSERT OR REPLACE INTO data VALUES (?, ?)", rows[first : first + BATCH])
            on.execute("COMMIT")
        return perf_counter() - began_s
