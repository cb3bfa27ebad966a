"""What memory holds: bounded in bytes, true to its algorithm, good on every kind of trace."""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.store import memory
from hasten.store.base import Item
from hasten.store.memory import MOST_USES, MemoryNode, MemoryQueue, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def use(queue: MemoryQueue[MemoryNode], key: bytes, size_bytes: int = 1) -> bool:
    """Read a key through the queue, as a cache does; return whether it was there."""
    node = queue.nodes.get(key)
    if node is not None:
        node.uses = min(node.uses + 1, MOST_USES)
        return True
    queue.put(MemoryNode(key, size_bytes))
    return False


actions = st.lists(
    st.tuples(st.sampled_from("uuupd"), st.integers(0, 20), st.integers(1, 40)), max_size=200
)


@given(actions)
def test_the_queue_never_holds_too_much_and_always_knows_what(script: list[Any]) -> None:
    """Bytes, nodes and queues agree after every step, whatever is put, used and dropped."""
    queue: MemoryQueue[MemoryNode] = MemoryQueue(100)
    for action, number, size_bytes in script:
        key = bytes([number])
        if action == "u":
            use(queue, key, size_bytes)
        elif action == "p":
            queue.put(MemoryNode(key, size_bytes))
            assert queue.nodes[key].size_bytes == size_bytes
        else:
            was_there = key in queue.nodes
            assert queue.drop(key) == was_there
        assert queue.bytes == sum(node.size_bytes for node in queue.nodes.values()) <= 100
        assert len(queue._small) + len(queue._main) == len(queue.nodes)
        assert queue._small_bytes == sum(node.size_bytes for node in queue._small.values())
        assert len(queue._ghosts) <= max(len(queue.nodes), 1)
        assert not queue._ghosts.keys() & queue.nodes.keys()


def test_what_is_too_big_is_not_held_nor_what_it_replaces() -> None:
    """A stale small value must not stay because its successor is large."""
    queue: MemoryQueue[MemoryNode] = MemoryQueue(100)
    assert queue.put(MemoryNode(b"a", 10))
    assert not queue.put(MemoryNode(b"a", 101))
    assert queue.nodes == {}
    assert queue.bytes == 0


def test_a_scan_leaves_what_is_used() -> None:
    """A thousand things seen once do not push out ten that are used."""
    queue: MemoryQueue[MemoryNode] = MemoryQueue(50)
    used = [b"used %d" % number for number in range(10)]
    for _ in range(3):
        for key in used:
            use(queue, key)
    for number in range(1000):
        use(queue, b"once %d" % number)
    assert all(key in queue.nodes for key in used)


def test_clearing_forgets_everything() -> None:
    """And what was known of the past."""
    queue: MemoryQueue[MemoryNode] = MemoryQueue(10)
    for number in range(100):
        use(queue, b"%d" % number)
    queue.clear()
    assert (queue.bytes, len(queue.nodes), len(queue._ghosts)) == (0, 0, 0)
    use(queue, b"99")
    assert not queue.nodes[b"99"].is_main


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


def test_hit_ratios_are_near_the_best_and_never_far_under_lru() -> None:
    """At least 88 % of Bélády on Zipf 1.0 and above; never 4 points under LRU."""
    for name, trace in traces(60_000).items():
        for room in (500, 1000):
            ours = held_ratio(trace, room)
            assert ours > lru_ratio(trace, room) - 0.04, (name, room)
            if name in {"zipf 1.0", "zipf 1.2"}:
                assert ours >= 0.88 * best_ratio(trace, room), (name, room)


def test_the_store_never_drops_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks beyond the most that are remembered raise the floor; kept items stay."""
    monkeypatch.setattr(memory, "MARKS_KEPT", 10)

    async def main() -> None:
        store = MemoryStore(max_bytes=100)
        kept = Item(key=b"k" * 32, data=bytes(90), created_s=0, is_kept=True)
        await store.set_many([kept])
        for number in range(100):
            await store.set_many([Item(key=b"%032d" % number, data=bytes(10), created_s=0)])
        assert await store.get_many([kept.key]) == [kept.data]
        assert (await store.size()).entries == 11
        start = await store.changes(0)
        epochs = [await store.bump([b"%016d" % number]) for number in range(30)]
        changes = await store.changes(0)
        assert len(changes.bumps) == 10
        assert changes.floor == epochs[19] > start.floor

    virtual.run(main())


def test_listeners_hear_every_bump_until_they_leave() -> None:
    """The news of a store in memory are a plain call."""

    async def main() -> None:
        import asyncio

        store, heard = MemoryStore(), []
        task = asyncio.ensure_future(store.listen(heard.append))
        await asyncio.sleep(0)
        epochs = [await store.bump([]) for _ in range(3)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.bump([])
        assert heard == epochs

    virtual.run(main())
