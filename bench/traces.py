"""Traces of requests, and what the best and the usual choice of what to hold make of them."""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
from collections import OrderedDict
from typing import TYPE_CHECKING

from hasten.store.memory import MOST_USES, MemoryNode, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Sequence


ROOMS = (500, 1_000)
"""So many of a trace's keys, most of them 10,000, may be held."""


def use(queue: MemoryQueue[MemoryNode], key: bytes, size_bytes: int = 1) -> bool:
    """Read a key through the queue, as a cache does; return whether it was there."""
    node = queue.nodes.get(key)
    if node is not None:
        node.uses = min(node.uses + 1, MOST_USES)
        return True
    queue.put(MemoryNode(key, size_bytes))
    return False


def held_ratio(trace: Sequence[int], room: int) -> float:
    """Return the hit ratio of our queue on a trace."""
    queue: MemoryQueue[MemoryNode] = MemoryQueue(room)
    return sum(use(queue, key) for key in trace) / len(trace)  # type: ignore[arg-type]


def lru_ratio(trace: Sequence[int], room: int) -> float:
    """Return the hit ratio of LRU on a trace."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            held[key] = None
            if len(held) > room:
                held.popitem(last=False)
    return hits / len(trace)


def best_ratio(trace: Sequence[int], room: int) -> float:
    """Return the hit ratio of Bélády's choice, which knows the future."""
    following, last = [0] * len(trace), {}
    for place in range(len(trace) - 1, -1, -1):
        following[place] = last.get(trace[place], len(trace))
        last[trace[place]] = place
    held: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for place, key in enumerate(trace):
        if key in held:
            hits += 1
        elif len(held) >= room:
            while held.get(latest[0][1]) != -latest[0][0]:
                heapq.heappop(latest)
            del held[heapq.heappop(latest)[1]]
        held[key] = following[place]
        heapq.heappush(latest, (-following[place], key))
    return hits / len(trace)


def zipf(exponent: float, count: int, keys: int = 10_000) -> list[int]:
    """Return draws from a Zipf distribution."""
    draw = random.Random(3)
    sums = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(keys)))
    return [bisect.bisect(sums, draw.random() * sums[-1]) for _ in range(count)]


def traces(count: int) -> dict[str, list[int]]:
    """Return traces of many kinds: steady, shifting, changing at once, scanned, looping, recent."""
    base, draw = zipf(1.0, count), random.Random(4)
    every = count // 10
    return {
        "zipf 0.8": zipf(0.8, count),
        "zipf 1.0": base,
        "zipf 1.2": zipf(1.2, count),
        "shifting": [(key + place // every * 1500) % 10_000 for place, key in enumerate(base)],
        "changing": [key + place // (2 * every) * 10_000 for place, key in enumerate(base)],
        "scanned": [
            one
            for place, key in enumerate(base)
            for one in ((key, 100_000 + place) if place % 10 == 0 else (key,))
        ],
        "looping": [place % 1500 for place in range(count)],
        "recent": [max(0, place // 10 - int(draw.expovariate(1 / 150))) for place in range(count)],
    }
