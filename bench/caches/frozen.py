"""What a call costs while Redis is stopped in its tracks: it accepts, and says nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.caches import run
from bench.caches.servers import redis

if TYPE_CHECKING:
    from bench.caches import Call, Contestant

CALLS = 20


def first_ms(patience_s: float, one: Contestant) -> float:
    """Return the milliseconds of the first call that finds the server frozen.

    Whoever takes longer than ``patience_s`` is cut off, and that is their figure.
    """
    return run(_frozen_ms(one, patience_s))[0]


def then_ms(patience_s: float, one: Contestant) -> float:
    """Return those of a call after it: the median of some."""
    return run(_frozen_ms(one, patience_s))[1]


async def _frozen_ms(one: Contestant, patience_s: float) -> tuple[float, float]:
    redis().flush()
    async with one.open_cache(redis().url, _fetch) as bind:
        calls = [bind(f"name {number}") for number in range(1 + CALLS)]
        await asyncio.gather(*(call() for call in calls))
        await asyncio.sleep(0.05)
        timed = partial(_timed_ms, patience_s=patience_s)
        with redis().frozen():
            first, *rest = calls
            took_ms = await timed(first)
            then_ms: list[float] = []
            for call in rest:
                if sum(then_ms) < patience_s * 1e3:
                    then_ms.append(await timed(call))
    return took_ms, median(then_ms)


async def _timed_ms(call: Call, patience_s: float) -> float:
    began_s = perf_counter()
    try:
        async with asyncio.timeout(patience_s):
            await call()
    except Exception:  # noqa: BLE001, S110 - a caller who gets an error has waited, too
        pass
    return (perf_counter() - began_s) * 1e3


async def _fetch(_name: str) -> str:
    return "an answer"
