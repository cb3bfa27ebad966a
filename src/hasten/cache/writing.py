"""Entries on their way from memory to the tiers, which nobody waits for.

Owns writing them, together what comes within a moment where only this machine reads
them, and taking back what was invalidated meanwhile. Leaves the tiers' failures to
``tiers``. ``fill`` brings what was computed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from hasten.cache.key import mark
from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.cache.entry import CacheEntry
    from hasten.cache.tiers import CacheTier
    from hasten.cache.trail import CacheTrail
    from hasten.cache.way import CacheWay

TOGETHER_S = 0.01
"""What is computed within this time goes to disk in one commit, and out of the next call's way."""


class CacheWrite(NamedTuple):
    """An entry, and the trail of what it was made of."""

    entry: CacheEntry
    trail: CacheTrail


def may_wait(entry: CacheEntry, tiers: Sequence[CacheTier]) -> bool:
    """Whether a moment matters to nobody: what is kept, or others wait for, goes at once."""
    return not entry.is_kept and all(tier.store.reach == "machine" for tier in tiers)


class CacheWriting:
    """The writes of one cache."""

    def __init__(self, cache: CacheWay) -> None:
        self._cache = cache
        self._waiting: dict[tuple[CacheTier, ...], list[CacheWrite]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._checks: set[asyncio.Task[None]] = set()

    def add(self, write: CacheWrite, tiers: Sequence[CacheTier]) -> None:
        """Have an entry written with the next."""
        self._waiting.setdefault(tuple(tiers), []).append(write)
        if self._alarm is None and (self._task is None or self._task.done()):
            delay_s = current_clock().loop_delay(TOGETHER_S)
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._begin)

    async def write(self, writes: Sequence[CacheWrite], tiers: Sequence[CacheTier]) -> None:
        """Write entries now, nearest tier first, and take back those that are dead by then."""
        await self._put(writes, tiers)
        await self._check(writes)

    async def close(self) -> None:
        """Write what waits."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._begin()
        if self._task is not None:
            await self._task
        await asyncio.gather(*self._checks)

    def _begin(self) -> None:
        self._alarm = None
        self._task = asyncio.create_task(self._write_waiting(), name="cache writes")

    async def _write_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            for tiers, writes in waiting.items():
                await self._put(writes, tiers)
                check = asyncio.create_task(self._check(writes), name="cache writes, checked")
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)

    async def _put(self, writes: Sequence[CacheWrite], tiers: Sequence[CacheTier]) -> None:
        now_s = current_clock().now()
        entries = [write.entry for write in writes]
        for tier in tiers:
            if await tier.put(entries, now_s):
                for entry in entries:
                    self._cache.stats.of(entry.use, tier.name).stored += 1

    async def _check(self, writes: Sequence[CacheWrite]) -> None:
        """Drop what was invalidated while it was written.

        Whoever deletes by a pattern or a person bumps first and looks afterwards: these
        entries were not there yet, and others may have found them since.
        """
        ledger = self._cache.ledger
        await ledger.pull_soon()
        dead = [write.entry for write in writes if not self._cache.is_alive(*write)]
        if dead:
            marks = [mark("key", entry.tenant, entry.digest.hex()) for entry in dead]
            await ledger.tier.ask(lambda: ledger.bump(marks), 0)
            await self._cache.delete([entry.digest for entry in dead])
