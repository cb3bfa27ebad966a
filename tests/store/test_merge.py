"""Merged calls: few trips, everybody their own answer, nobody waits for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.base import Item
from hasten.store.merge import BATCH_THINGS, merged_reads, merged_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Slow:
    """A place that answers a batch after a second with each key doubled."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.error: BaseException | None = None
        self.reads = merged_reads(self.fetch)

    async def fetch(self, keys: list[bytes]) -> list[bytes | None]:
        """Answer, or fail as told."""
        self.batches.append(keys)
        await current_clock().sleep(1)
        if self.error is not None:
            raise self.error
        return [key * 2 for key in keys]

    def ask(self, *keys: bytes) -> asyncio.Task[list[bytes | None]]:
        """Ask in a task."""
        return asyncio.ensure_future(self.reads.call(keys))


def in_virtual_time(main: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def test() -> None:
        virtual.run(main())

    test.__doc__ = main.__doc__
    return test


@in_virtual_time
async def test_what_comes_meanwhile_travels_together() -> None:
    """One batch is away at a time; each key is asked for once in it."""
    slow = Slow()
    tasks = [slow.ask(b"a")]
    await current_clock().sleep(0.5)
    tasks += [slow.ask(b"b", b"c"), slow.ask(b"c"), slow.ask()]
    assert await asyncio.gather(*tasks) == [[b"aa"], [b"bb", b"cc"], [b"cc"], []]
    assert [sorted(batch) for batch in slow.batches] == [[b"a"], [b"b", b"c"]]
    assert current_clock().monotonic() == 2.0


@in_virtual_time
async def test_batches_are_bounded() -> None:
    """A flood is cut into pieces the store can answer in time."""
    slow = Slow()
    tasks = [slow.ask(b"%d" % number) for number in range(BATCH_THINGS * 2 + 1)]
    await asyncio.gather(*tasks)
    assert sorted(map(len, slow.batches)) == [1, BATCH_THINGS, BATCH_THINGS]


@in_virtual_time
async def test_a_cancelled_caller_changes_nobodys_answer() -> None:
    """Alone, before its batch leaves, and while it is away."""
    slow = Slow()
    alone = slow.ask(b"a")
    await current_clock().sleep(0.5)
    waiting = [slow.ask(key) for key in (b"b", b"c", b"d")]
    await current_clock().sleep(0)
    alone.cancel()
    waiting[0].cancel()
    await current_clock().sleep(0.5)
    assert slow.batches in ([[b"a"], [b"c", b"d"]], [[b"a"], [b"d", b"c"]])
    waiting[1].cancel()
    assert await waiting[2] == [b"dd"]
    assert await slow.ask(b"e") == [b"ee"]


@in_virtual_time
async def test_an_unavailable_store_is_told_to_all_who_wait() -> None:
    """Whoever waits for the next batch does not wait a second deadline."""
    slow = Slow()
    slow.error = StoreUnavailable("gone", store="slow")
    tasks = [slow.ask(b"a")]
    await current_clock().sleep(0.5)
    tasks.append(slow.ask(b"b"))
    failed = await asyncio.gather(*tasks, return_exceptions=True)
    assert [(type(one), str(one)) for one in failed] == [(StoreUnavailable, "gone")] * 2
    assert failed[0] is not failed[1]
    assert current_clock().monotonic() == 1.0


@in_virtual_time
async def test_a_refusal_concerns_its_own_batch() -> None:
    """The next one is tried."""
    slow = Slow()
    slow.error = StoreError("no", store="slow")
    tasks = [slow.ask(b"a")]
    await current_clock().sleep(0.5)
    tasks.append(slow.ask(b"b"))
    with pytest.raises(StoreError):
        await tasks[0]
    slow.error = None
    assert await tasks[1] == [b"bb"]


@in_virtual_time
async def test_a_fault_of_ours_leaves_nobody_waiting() -> None:
    """Even what nobody foresaw is an error of the store, alone and in a batch, and it passes."""
    slow = Slow()
    slow.error = ZeroDivisionError("bug")
    failed = await asyncio.gather(*(slow.ask(b"a") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [StoreError] * 3
    assert all("bug" in str(one) for one in failed)
    slow.error = None
    assert await slow.ask(b"b") == [b"bb"]


@in_virtual_time
async def test_calls_one_by_one_are_served_by_themselves() -> None:
    """No task is made for a call that finds nobody before it; a crowd is served together again."""
    slow = Slow()
    for key in (b"a", b"b"):
        assert await slow.ask(key) == [key * 2]
    assert slow.reads._task is None
    await asyncio.gather(*(slow.ask(b"%d" % number) for number in range(5)))
    await asyncio.gather(*(slow.ask(b"%d" % number) for number in range(5)))
    assert [len(batch) for batch in slow.batches] == [1, 1, 1, 4, 5]


@in_virtual_time
async def test_writes_of_one_key_leave_the_last() -> None:
    """In one trip, in the order they were made."""
    kept: list[list[Item]] = []

    async def keep(items: list[Item]) -> None:
        kept.append(items)
        await current_clock().sleep(1)

    writes = merged_writes(keep)
    items = [Item(key=b"k", data=b"%d" % number, created_s=0) for number in range(4)]
    first = asyncio.ensure_future(writes.call(items[:1]))
    await current_clock().sleep(0.5)
    for item in items[1:]:
        task = asyncio.ensure_future(writes.call([item]))
        await current_clock().sleep(0)
    await asyncio.gather(first, task)
    assert [[item.data for item in batch] for batch in kept] == [[b"0"], [b"3"]]
