"""What it takes to drop much at once from a large cache on disk: by a tag, and by age.

The large file is made once for all figures, of real entries: a tenth has each of
ten tags. What is dropped by a tag stays in the file until it expires, so that a
repeat finds as many; each takes another tag.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

import msgspec

from bench.caches import find, run
from bench.harness import OURS
from hasten.cache.cache import Cache
from hasten.cache.entry import seal
from hasten.cache.policy import CachePolicy, Directives
from hasten.cache.tiers import Tier
from hasten.errors import NotCached
from hasten.store.base import Item
from hasten.store.disk import DiskStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hasten.cache.entry import CacheEntry
    from hasten.cache.key import Key

TAGS = 10

POLICY = CachePolicy(use="bench", tags=("area:{area}",), returns=str, jitter=0, ttl_s=1e6)

SMALL = 10_000

SAMPLE = 20
"""So many of the dropped entries are looked at."""

PAGE = 5_000
"""So many items are written to the large file at once."""

_turns = count()


@dataclass(frozen=True)
class LargeFile:
    """A cache of ``entries`` on disk; ``folder`` goes when the program ends."""

    folder: tempfile.TemporaryDirectory[str]
    entries: int

    def store(self) -> DiskStore:
        """Open it."""
        return DiskStore(Path(self.folder.name) / "large.db", 1 << 40, deadline_s=60)


def small_tags() -> dict[str, Callable[[], float] | str]:
    """Return who can drop a tag of a tenth of ``SMALL`` entries; the milliseconds it takes."""

    def runner(name: str) -> Callable[[], float] | str:
        module: Any = find(name)
        return "not installed" if module is None else lambda: run(module.drop_tag_ms(SMALL, TAGS))

    return {
        OURS: lambda: tag_ms(SMALL),
        "cashews": runner("cashews"),
        "diskcache": runner("diskcache"),
    }


@cache
def large_file(entries: int) -> LargeFile:
    """Return the file, written when it is first asked for."""
    made = LargeFile(tempfile.TemporaryDirectory(prefix="hasten-bench-"), entries)
    run(_fill(made))
    return made


async def _fill(made: LargeFile) -> None:
    async with Cache([Tier(store=made.store())], memory_residence_s=0.0) as kept:
        for tag in range(TAGS):
            for first in range(0, made.entries // TAGS, PAGE):
                numbers = range(first, min(first + PAGE, made.entries // TAGS))
                await kept.tiers[0].store.set_many(await _items(kept, tag, numbers))


async def _items(kept: Cache, tag: int, numbers: Sequence[int]) -> list[Item]:
    """Return the items of the entries with a tag, all made after one that was computed."""
    answer = await kept.answer(kept.key(POLICY, area=tag, number=-1), _compute, POLICY)
    model = answer.entry
    if model is None:
        message = f"not stored: {answer.stored}"
        raise AssertionError(message)
    keys = (kept.key(POLICY, area=tag, number=number) for number in numbers)
    return [_item(model, key) for key in keys]


def _item(model: CacheEntry, key: Key) -> Item:
    marks = dict.fromkeys(key.marks(model.tags), model.generation)
    entry = msgspec.structs.replace(model, digest=key.digest, label=key.label, marks=marks)
    return Item(
        key=key.digest, data=seal(entry), created_s=entry.created_s, expires_s=entry.until_s
    )


async def _compute() -> str:
    return "a short answer"


def tag_ms(entries: int) -> float:
    """Return the milliseconds until a tenth of the file is dropped, everywhere and for good."""
    return run(_tag_ms(large_file(entries), next(_turns) % TAGS))


async def _tag_ms(made: LargeFile, tag: int) -> float:
    async with Cache([Tier(store=made.store())], memory_residence_s=0.0) as kept:
        await kept.invalidate("tag=none")  # opens the file, as a process that runs has done
        began_s = perf_counter()
        await kept.invalidate(f"tag=area:{tag}")
        took_s = perf_counter() - began_s
        for number in range(SAMPLE):
            await _check_dropped(kept, kept.key(POLICY, area=tag, number=number))
    return took_s * 1e3


async def _check_dropped(kept: Cache, key: Key) -> None:
    """Check that an entry is there and may not be served: else nothing was measured."""
    try:
        await kept.answer(key, _compute, POLICY, directives=Directives(only_if_cached=True))
    except NotCached as error:
        if "invalidated" in str(error):
            return
        raise
    message = f"{key.label} was not dropped"
    raise AssertionError(message)


@dataclass(frozen=True)
class Expiry:
    """What was seen while many entries expired."""

    longest_gap_ms: float
    longest_wait_ms: float


def expiry_gap_ms(entries: int) -> float:
    """Return for how long the loop was not free at most while a tenth of the file expired."""
    return run(_expire(large_file(entries))).longest_gap_ms


def expiry_wait_ms(entries: int) -> float:
    """Return how long a read waited at most while a tenth of the file expired."""
    return run(_expire(large_file(entries))).longest_wait_ms


async def _expire(made: LargeFile) -> Expiry:
    store = made.store()
    end_s = await _add_short_lived(store, made.entries // TAGS)
    await asyncio.sleep(max(end_s - time(), 0) + 0.1)
    gone = asyncio.create_task(_until_gone(made, end_s))
    gap_s, wait_s = await asyncio.gather(_longest_gap_s(gone), _longest_wait_s(store, gone))
    await store.close()
    return Expiry(gap_s * 1e3, wait_s * 1e3)


async def _add_short_lived(store: DiskStore, entries: int) -> float:
    """Add entries that expire together; return when."""
    end_s = time() + 0.5 + entries * 60e-6
    for first in range(0, entries, PAGE):
        digests = (hashlib.sha256(b"short %d" % one).digest() for one in range(first, first + PAGE))
        items = [Item(key=one, data=bytes(500), created_s=0, expires_s=end_s) for one in digests]
        await store.set_many(items[: entries - first])
    return end_s


async def _longest_gap_s(gone: asyncio.Task[None]) -> float:
    longest_s, pause_s = 0.0, 0.001
    while not gone.done():
        began_s = perf_counter()
        await asyncio.sleep(pause_s)
        longest_s = max(longest_s, perf_counter() - began_s - pause_s)
    return longest_s


async def _longest_wait_s(store: DiskStore, gone: asyncio.Task[None]) -> float:
    longest_s = 0.0
    while not gone.done():
        began_s = perf_counter()
        await store.get_many((bytes(32),))
        longest_s = max(longest_s, perf_counter() - began_s)
        await asyncio.sleep(0.002)
    return longest_s


async def _until_gone(made: LargeFile, end_s: float) -> None:
    """Look past the store whether something that expired is left."""
    query = "SELECT 1 FROM entries WHERE expires <= ? LIMIT 1"
    with closing(sqlite3.connect(Path(made.folder.name) / "large.db")) as on:
        while on.execute(query, (end_s,)).fetchone():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
