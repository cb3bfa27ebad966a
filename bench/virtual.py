"""What playing one small schedule on the virtual loop costs: a millisecond at most.

A schedule is what a race is hunted with: a new loop of its own seed, three
tasks of five awaits each, with drawn latencies, a lock and a queue between
them. A thousand a second make a thousand seeds the habit of a test.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from bench.harness import OURS, Case
from hasten import virtual
from hasten.clock import current_clock

TITLE = "Virtual time: what one small schedule costs"

TASKS = 3
SCHEDULES = 1_000


def cases() -> list[Case]:
    """Return what is measured."""
    return [Case("schedule of 15 awaits", "µs a schedule", {OURS: schedule_us}, goal=1_000)]


def schedule_us(count: int = SCHEDULES) -> float:
    """Return the real microseconds of one schedule, over ``count`` of them with different seeds."""
    started_s = perf_counter()
    for seed in range(count):
        if virtual.run(schedule(), seed=seed) != TASKS:
            message = f"seed {seed} lost an item"
            raise AssertionError(message)
    return (perf_counter() - started_s) / count * 1e6


async def schedule() -> int:
    """Play one schedule; return how many items went through."""
    clock, lock = current_clock(), asyncio.Lock()
    queue = asyncio.Queue[int]()

    async def worker(number: int) -> int:
        await clock.sleep(virtual.latency(0, 1))
        async with lock:
            await clock.sleep(virtual.latency(0, 0.1))
        await queue.put(number)
        return await queue.get()

    return len(await asyncio.gather(*(worker(number) for number in range(TASKS))))
