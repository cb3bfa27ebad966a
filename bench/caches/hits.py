"""What a hit costs: in memory, with the key made each time, in a traced run, in a tier."""

from __future__ import annotations

import asyncio
import tempfile
from contextvars import copy_context
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.caches import run, text
from bench.caches.servers import redis
from bench.trace import new_recorder
from hasten.trace.recorder import enter_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.caches import Call, Contestant, Opened

FIELDS = ("market research", "calm", 12_000, "Zürich", 2026)

BLOCK = 200
"""So many hits in memory are timed at once: the clock is not free."""

NAMES = 256
"""The entries that are read in turn from a tier."""

TASKS = 64


class Counted:
    """An answer of that size, and how often it was computed."""

    def __init__(self, size_bytes: int) -> None:
        self.count = 0
        self._size_bytes = size_bytes

    async def __call__(self, *_: object) -> str:
        """Compute."""
        self.count += 1
        return text(self._size_bytes)


def memory_us(size_bytes: int, seconds: float, one: Contestant) -> float:
    """Return the microseconds of a hit whose key is given."""
    return run(_hit_us(one.open_cache("", Counted(size_bytes)), ("name",), seconds))


def memory_growth(sizes: tuple[int, int], seconds: float, one: Contestant) -> float:
    """Return how many times as long a hit of the larger size takes, in turn with the smaller."""

    async def main() -> float:
        small, large = (one.open_cache("", Counted(size)) for size in sizes)
        async with small as bind_small, large as bind_large:
            calls = bind_small("name"), bind_large("name")
            return await _ratio(*calls, seconds)

    return run(main())


async def _ratio(small: Call, large: Call, seconds: float) -> float:
    for call in (small, large):
        await call()
    ratios: list[float] = []
    until_s = perf_counter() + seconds
    while perf_counter() < until_s:
        ratios.append(1 / await _block_s(small) * await _block_s(large))
    return median(ratios)


def fields_us(seconds: float, one: Contestant) -> float:
    """Return the microseconds of a hit whose key is made from five fields."""
    return run(_hit_us(one.open_fields(Counted(8_192)), FIELDS, seconds))


def traced_us(seconds: float, one: Contestant) -> float:
    """Return the same inside a run that is recorded and listened to."""
    opened = one.open_fields(Counted(8_192))
    return copy_context().run(run, _hit_us(opened, FIELDS, seconds, before=_enter_run))


def _enter_run() -> None:
    recorder = new_recorder()
    recorder.listeners.append(lambda _: None)
    enter_run(recorder)


async def _hit_us(
    opened: Opened,
    names: Sequence[object],
    seconds: float,
    before: Callable[[], None] | None = None,
) -> float:
    """Return the median over blocks of hits, after a miss to fill in."""
    async with opened as bind:
        call = bind(*names)
        await call()
        took_s: list[float] = []
        until_s = perf_counter() + seconds
        while perf_counter() < until_s:
            if before is not None:
                before()
            took_s.append(await _block_s(call))
        return median(took_s) / BLOCK * 1e6


async def _block_s(call: Call) -> float:
    began_s = perf_counter()
    for _ in range(BLOCK):
        await call()
    return perf_counter() - began_s


def tier_us(tier: str, size_bytes: int, tasks: int, seconds: float, one: Contestant) -> float:
    """Return the microseconds of a hit in ``tier``: of one alone the median, of many the mean."""
    with tempfile.TemporaryDirectory() as folder:
        where = folder
        if tier == "shared":
            redis().flush()
            where = redis().url
        fetch = Counted(size_bytes)
        return run(_tier_us(one.open_cache(where, fetch), fetch, tasks, seconds))


async def _tier_us(opened: Opened, fetch: Counted, tasks: int, seconds: float) -> float:
    async with opened as bind:
        calls = [bind(f"name {number}") for number in range(NAMES)]
        await _fill(calls, fetch)
        count = fetch.count
        figure = partial(_alone_us, calls) if tasks == 1 else partial(_together_us, calls, tasks)
        took_us = await figure(seconds)
        if fetch.count != count:
            message = f"{fetch.count - count} hits were misses"
            raise AssertionError(message)
        return took_us


async def _fill(calls: Sequence[Call], fetch: Counted) -> None:
    """Fill in, and open every connection, until nothing is missing."""
    count = -1
    while count != fetch.count:
        count = fetch.count
        for first in range(0, NAMES, TASKS):
            await asyncio.gather(*(call() for call in calls[first : first + TASKS]))
        await asyncio.sleep(0.1)


async def _alone_us(calls: Sequence[Call], seconds: float) -> float:
    took_s: list[float] = []
    until_s = perf_counter() + seconds
    while perf_counter() < until_s:
        for call in calls:
            began_s = perf_counter()
            await call()
            took_s.append(perf_counter() - began_s)
    return median(took_s) * 1e6


async def _together_us(calls: Sequence[Call], tasks: int, seconds: float) -> float:
    count = 0
    until_s = perf_counter() + seconds

    async def reader(first: int) -> None:
        nonlocal count
        place = first
        while perf_counter() < until_s:
            await calls[place % len(calls)]()
            place += 1
            count += 1

    began_s = perf_counter()
    await asyncio.gather(*(reader(number * 4) for number in range(tasks)))
    return (perf_counter() - began_s) / count * 1e6
