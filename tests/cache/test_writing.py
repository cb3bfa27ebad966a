"""What is computed goes to disk in few commits, nobody waits for it, and closing loses none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hasten.cache.cache import Cache
from hasten.cache.tiers import Tier
from hasten.store.disk import DiskStore
from tests.cache.counting import POLICY as WAITING
from tests.cache.counting import key_of
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hasten.cache.policy import CachePolicy
    from hasten.store.base import Item

COUNT = 40
POLICY = replace(WAITING, wait_s=0)
"""No other process waits for what this one computes."""


class WatchedDisk(DiskStore):
    """A disk store that notes how much it was given at once, and takes nothing before ``gate``."""

    def __init__(self, path: Path, *, is_open: bool = True) -> None:
        super().__init__(path)
        self.given: list[int] = []
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items."""
        self.given.append(len(items))
        await self.gate.wait()
        await super().set_many(items)


async def _number(number: int) -> int:
    return number


async def _fill(cache: Cache) -> None:
    """Compute many values at once."""
    found = await asyncio.gather(
        *(
            cache.get_or_compute(key_of(number), lambda n=number: _number(n), POLICY)
            for number in range(COUNT)
        )
    )
    assert found == list(range(COUNT))


def test_what_comes_within_a_moment_is_one_commit(tmp_path: Path) -> None:
    """Callers go on at once; what they computed arrives together."""

    async def main() -> None:
        store = WatchedDisk(tmp_path / "cache.db", is_open=False)
        async with Cache([Tier(store=store)]) as cache:
            await _fill(cache)
            await until(lambda: bool(store.given))  # with what is there; the rest waits for it
            store.gate.set()
            await until(lambda: sum(store.given) == COUNT)
            assert len(store.given) <= 2

    asyncio.run(main())


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """A server that stops keeps what it has just computed."""

    async def main() -> None:
        path = tmp_path / "cache.db"
        async with Cache([Tier(store=DiskStore(path))]) as cache:
            await _fill(cache)
        store = DiskStore(path)
        assert (await store.size()).entries == COUNT
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("policy", [replace(POLICY, is_kept=True), WAITING])
def test_what_is_kept_or_waited_for_goes_at_once(tmp_path: Path, policy: CachePolicy) -> None:
    """A rerun waits for no other entry, nor does what another process may be waiting for."""

    async def main() -> None:
        store = WatchedDisk(tmp_path / "cache.db")
        async with Cache([Tier(store=store)]) as cache:
            for number in range(3):
                key = key_of(number, policy)
                await cache.get_or_compute(key, lambda n=number: _number(n), policy)
                await until(lambda n=number: len(store.given) == n + 1)
        assert store.given == [1, 1, 1]

    asyncio.run(main())


def test_what_was_invalidated_before_it_was_written_is_taken_back(tmp_path: Path) -> None:
    """An entry that waits to be written when its use is dropped does not stay on disk."""

    async def main() -> None:
        store = WatchedDisk(tmp_path / "cache.db", is_open=False)
        async with Cache([Tier(store=store)]) as cache:
            await _fill(cache)
            await until(lambda: bool(store.given))
            await cache.invalidate(f"use={POLICY.use}", tenants=["acme"])
            store.gate.set()
            await until(lambda: cache.stats.of(POLICY.use, "disk").stored == COUNT)

            async def is_empty() -> bool:
                return (await store.size()).entries == 0

            await until(is_empty)

    asyncio.run(main())
