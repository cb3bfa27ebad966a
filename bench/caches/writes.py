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

import msgspec

from bench.caches import run, text
from bench.caches.ours import POLICY
from hasten import codec
from hasten.cache.cache import Cache
from hasten.cache.entry import CacheEntry, seal
from hasten.store.base import Item
from hasten.store.disk import DiskStore

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 512


def writers(size_bytes: int, count: int) -> dict[str, Callable[[], float] | str]:
    """Return who writes ``count`` values of that size; each gives the microseconds of one."""
    answer = text(size_bytes)
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    return {
        "hasten": lambda: _in_folder(lambda folder: run(_ours_s(folder, digests, answer)), count),
        "diskcache": lambda: _in_folder(
            lambda folder: _diskcache_s(folder, digests, answer), count
        ),
        "bare": lambda: _in_folder(lambda folder: _bare_s(folder, digests, answer), count),
    }


def _in_folder(figure: Callable[[Path], float], count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return figure(Path(folder)) / count * 1e6


async def _ours_s(folder: Path, digests: list[bytes], answer: str) -> float:
    """Write each by itself and all at once, encoded and sealed; the store makes batches of them."""
    entry = await _entry(answer)
    store = DiskStore(folder / "ours.db", deadline_s=60)
    await store.ping()

    async def write(digest: bytes) -> None:
        body = codec.encode(answer)
        data = seal(msgspec.structs.replace(entry, digest=digest, body=body))
        await store.set_many((Item(key=digest, data=data, created_s=0.0, expires_s=4e9),))

    began_s = perf_counter()
    await asyncio.gather(*map(write, digests))
    took_s = perf_counter() - began_s
    await store.close()
    return took_s


async def _entry(answer: str) -> CacheEntry:
    """Return an entry as the cache makes them."""
    async with Cache() as kept:
        entry = (await kept.put(kept.key(POLICY, name="name"), answer, POLICY)).entry
    if entry is None:
        message = "the answer was not stored"
        raise AssertionError(message)
    return entry


def _diskcache_s(folder: Path, digests: list[bytes], answer: str) -> float:
    """Write batches, each in a transaction, which is its own way to be quick."""
    from diskcache import Cache

    with Cache(folder) as cache:
        began_s = perf_counter()
        for first in range(0, len(digests), BATCH):
            with cache.transact():
                for digest in digests[first : first + BATCH]:
                    cache.set(digest, answer)
        return perf_counter() - began_s


def _bare_s(folder: Path, digests: list[bytes], answer: str) -> float:
    """Write the same batches into a table with nothing but a key."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as on:
        on.execute("PRAGMA journal_mode = WAL")
        on.execute("PRAGMA synchronous = NORMAL")
        on.execute("CREATE TABLE data (id INTEGER PRIMARY KEY, data TEXT)")
        rows = [(int.from_bytes(one[:8], signed=True), answer) for one in digests]
        began_s = perf_counter()
        for first in range(0, len(rows), BATCH):
            on.execute("BEGIN")
            on.executemany("INSERT OR REPLACE INTO data VALUES (?, ?)", rows[first : first + BATCH])
            on.execute("COMMIT")
        return perf_counter() - began_s
