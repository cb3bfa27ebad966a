"""What memory holds: bounded in bytes, true to its algorithm, good on every kind of trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from bench.traces import ROOMS, best_ratio, held_ratio, lru_ratio, traces, use
from hasten import virtual
from hasten.store import memory
from hasten.store.base import Item
from hasten.store.memory import MemoryNode, MemoryQueue, MemoryStore

if TYPE_CHECKING:
    import pytest


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


def test_hit_ratios_are_near_the_best_and_never_far_under_lru() -> None:
    """At least 88 % of Bélády on Zipf 1.0 and above; never 4 points under LRU."""
    for name, trace in traces(60_000).items():
        for room in ROOMS:
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
