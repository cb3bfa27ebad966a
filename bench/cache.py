"""What a hit, a write, an invalidation and a fault cost in each tier, beside the peers.

A tier is measured with memory left out. ``bare`` is what the tier stands on and
nothing else: a dict, a GET of redis-py, a SELECT of sqlite3 on a thread. The loop
is uvloop, as in the server, for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from bench import traces
from bench.caches import competing, frozen, hits, misses, upkeep, writes
from bench.harness import OURS, Case

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "The cache: what hits, writes, invalidations and faults cost"

KB = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured; ``quick`` only sees whether everything works."""

    seconds: float = 0.3
    entries: int = 1_000_000
    writes: int = 10_000
    computed_s: float = 5.0
    patience_s: float = 2.5
    requests: int = 60_000


FULL = Sizes()
QUICK = Sizes(
    seconds=0.05, entries=5_000, writes=500, computed_s=0.3, patience_s=0.5, requests=6_000
)


def quick_cases() -> list[Case]:
    """Return the same cases with little of everything."""
    return cases(QUICK)


def cases(sizes: Sizes = FULL) -> list[Case]:
    """Return what is measured."""
    return [
        *_memory(sizes.seconds),
        *_tiers(sizes.seconds),
        *(_writes(kilobytes, sizes.writes) for kilobytes in (2, 8)),
        *_upkeep(sizes.entries),
        *_misses(sizes.computed_s),
        *_frozen(sizes.patience_s),
        *_ratios(sizes.requests),
    ]


def _memory(seconds: float) -> list[Case]:
    def case(name: str, unit: str, figure: Callable[..., float], goal: float) -> Case:
        return Case(name, unit, competing(figure, without=("diskcache",)), goal, bare="bare")

    grown = partial(hits.memory_growth, (8 * KB, 50 * KB), seconds)
    return [
        case("memory hit, 8 kB", "µs", partial(hits.memory_us, 8 * KB, seconds), 3),
        case("memory hit, 50 kB", "× 8 kB", grown, 1.2),
        case("memory hit, key from five fields", "µs", partial(hits.fields_us, seconds), 12),
        case("memory hit, the same in a traced run", "µs", partial(hits.traced_us, seconds), 20),
    ]


def _tiers(seconds: float) -> list[Case]:
    def case(tier: str, kilobytes: int, tasks: int, **goal: float) -> Case:
        figure = partial(hits.tier_us, tier, kilobytes * KB, tasks, seconds)
        without = "diskcache" if tier == "shared" else "aiocache"
        pace = "one at a time" if tasks == 1 else f"{tasks} tasks"
        runners = competing(figure, without=(without,))
        return Case(f"{tier} hit, {kilobytes} kB, {pace}", "µs", runners, **goal, bare="bare")

    return [
        case("shared", 8, 1, goal_ratio=1.2),
        case("shared", 2, hits.TASKS, goal=25),
        case("shared", 8, hits.TASKS, goal=25),
        case("disk", 8, 1, goal=130),
        case("disk", 8, hits.TASKS, goal=71),
    ]


def _writes(kilobytes: int, count: int) -> Case:
    runners = writes.writers(kilobytes * KB, count)
    return Case(f"disk write, {kilobytes} kB, batched", "µs", runners, goal=67, bare="bare")


def _upkeep(entries: int) -> list[Case]:
    total, tenth = f"{entries:,}", f"{entries // upkeep.TAGS:,}"

    def ours(name: str, figure: Callable[[int], float], goal: float) -> Case:
        return Case(f"{name} of {total} on disk", "ms", {OURS: partial(figure, entries)}, goal)

    return [
        Case("tag of 1,000 of 10,000", "ms", upkeep.small_tags(), bare="diskcache"),
        ours(f"tag of {tenth}", upkeep.tag_ms, 1),
        ours(f"expiry of {tenth}: longest the loop waits,", upkeep.expiry_gap_ms, 10),
        ours(f"expiry of {tenth}: longest a read waits,", upkeep.expiry_wait_ms, 10),
    ]


def _misses(computed_s: float) -> list[Case]:
    short_s = min(computed_s, 0.4)
    where = f"100 misses of {computed_s:g} s"
    alone = competing(partial(misses.in_one_process, 100, computed_s), without=("bare",))
    several = {name: partial(misses.in_processes, 4, 100, computed_s, name) for name in alone}
    unserved = competing(partial(misses.unserved, short_s), without=("bare",))
    again = competing(partial(misses.recomputed, short_s), without=("bare",))
    return [
        Case(f"{where}, one process", "computations", alone, goal=1),
        Case(f"{where}, 4 processes", "computations", several, goal=1),
        Case("first of 10 callers cancelled", "not served", unserved, goal=0),
        Case("first of 10 callers cancelled", "computations", again, goal=1),
    ]


def _frozen(patience_s: float) -> list[Case]:
    def case(name: str, figure: Callable[..., float], goal: float) -> Case:
        runners = competing(partial(figure, patience_s), without=("diskcache", "bare"))
        return Case(f"Redis frozen: {name}", "ms", runners, goal)

    return [case("first call", frozen.first_ms, 100), case("the calls after", frozen.then_ms, 1)]


def _ratios(requests: int) -> list[Case]:
    """Return how far the choice of what stays is from the best, and from LRU at its worst."""
    made = cache(partial(traces.traces, requests))

    def short_of_best(name: str, ratio: Callable[..., float]) -> float:
        return 100 - 100 * min(
            ratio(made()[name], room) / traces.best_ratio(made()[name], room)
            for room in traces.ROOMS
        )

    def under_lru() -> float:
        return 100 * max(
            traces.lru_ratio(trace, room) - traces.held_ratio(trace, room)
            for trace in made().values()
            for room in traces.ROOMS
        )

    policies = {OURS: traces.held_ratio, "LRU": traces.lru_ratio}
    best = [
        Case(
            f"hit ratio, {name}",
            "% under Bélády",
            {who: partial(short_of_best, name, ratio) for who, ratio in policies.items()},
            goal=12,
        )
        for name in ("zipf 1.0", "zipf 1.2")
    ]
    return [*best, Case("hit ratio, worst trace", "points under LRU", {OURS: under_lru}, goal=4)]
