"""How many small schedules a second the virtual loop plays: the goal is 1,000.

A schedule is what a race is hunted with: a new loop of its own seed, three
tasks of five awaits each, with drawn latencies, a lock and a queue between
them. Run it with ``.venv/bin/python bench/virtual.py``; it prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import time

from hasten import virtual
from hasten.clock import current_clock

GOAL_PER_S = 1_000
TASKS = 3


async def schedule() -> int:
    """Play one schedule of 15 awaits; return how many items went through."""
    clock, lock = current_clock(), asyncio.Lock()
    queue = asyncio.Queue[int]()

    async def worker(number: int) -> int:
        await clock.sleep(virtual.latency(0, 1))
        async with lock:
            await clock.sleep(virtual.latency(0, 0.1))
        await queue.put(number)
        return await queue.get()

    return len(await asyncio.gather(*(worker(number) for number in range(TASKS))))


def schedules_per_second(count: int = 5_000) -> float:
    """Return schedules a second of real time, over ``count`` of them with different seeds."""
    started_s = time.perf_counter()
    for seed in range(count):
        if virtual.run(schedule(), seed=seed) != TASKS:
            message = f"seed {seed} lost an item"
            raise RuntimeError(message)
    return count / (time.perf_counter() - started_s)


def main() -> None:
    """Measure and print."""
    per_s = round(schedules_per_second())
    print(json.dumps({"schedules_per_s": per_s, "goal_per_s": GOAL_PER_S}))


if __name__ == "__main__":
    main()
