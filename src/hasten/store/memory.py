"""What this process holds in memory: the S3-FIFO queue, and a store made of it.

Owns the choice of what stays when there is no room: S3-FIFO (Yang et al.,
"FIFO queues are all you need for cache eviction", SOSP 2023), bounded in bytes.
New things wait in a small queue, which a scan flows through without touching
the main one; what was used meanwhile moves to the main queue, and what was
dropped and comes back goes there at once. ``cache`` holds its nodes in one;
``MemoryStore`` stands in for a server in tests and in virtual time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

from hasten.clock import current_clock
from hasten.store.base import (
    MARKS_KEPT,
    NOTES_KEPT,
    ByteStore,
    Changes,
    Item,
    StoreSize,
    first_epoch,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SMALL_SHARE = 0.2
"""The small queue's share of the room: a smaller one is better while popularity is steady, and
falls behind LRU by more than 4 points when it changes (the traces of the tests)."""

GHOST_SHARE = 0.5
"""So many keys of what was dropped are known per node held; more or fewer were worse."""

MOST_USES = 3
"""Uses are counted up to here; each saves a node from one round of eviction."""


class MemoryNode:
    """Something held under ``key`` that takes ``size_bytes``; whoever uses it raises ``uses``."""

    __slots__ = ("is_main", "key", "size_bytes", "uses")

    def __init__(self, key: bytes, size_bytes: int) -> None:
        self.key = key
        self.size_bytes = size_bytes
        self.uses = 0
        self.is_main = False


N = TypeVar("N", bound=MemoryNode)


class MemoryQueue(Generic[N]):
    """At most ``max_bytes`` of nodes, by S3-FIFO.

    ``nodes`` finds a node by its key; a reader that uses one raises its ``uses``
    up to ``MOST_USES`` itself, which is all that a hit costs.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evicted = 0
        self.nodes: dict[bytes, N] = {}
        self._small: OrderedDict[bytes, N] = OrderedDict()
        self._main: OrderedDict[bytes, N] = OrderedDict()
        self._ghosts: OrderedDict[bytes, None] = OrderedDict()
        self._small_bytes = 0

    def put(self, node: N) -> bool:
        """Hold ``node`` in place of what was under its key; ``False`` if it is too big."""
        old = self.nodes.get(node.key)
        if node.size_bytes > self.max_bytes:
            if old is not None:
                self.drop(node.key)
            return False
        if old is not None:
            node.is_main, node.uses = old.is_main, old.uses
            self._count(old, -1)
        elif node.key in self._ghosts:
            del self._ghosts[node.key]
            node.is_main = True
        (self._main if node.is_main else self._small)[node.key] = node
        self.nodes[node.key] = node
        self._count(node, 1)
        while self.bytes > self.max_bytes:
            self._evict()
        return True

    def drop(self, key: bytes) -> bool:
        """Let go of what is under ``key``; whether there was anything."""
        node = self.nodes.pop(key, None)
        if node is None:
            return False
        del (self._main if node.is_main else self._small)[key]
        self._count(node, -1)
        return True

    def clear(self) -> None:
        """Let go of everything, and of what is known about the past."""
        self.nodes.clear()
        self._small.clear()
        self._main.clear()
        self._ghosts.clear()
        self.bytes = self._small_bytes = 0

    def _count(self, node: N, sign: int) -> None:
        self.bytes += sign * node.size_bytes
        if not node.is_main:
            self._small_bytes += sign * node.size_bytes

    def _evict(self) -> None:
        """Make one step towards more room: drop a node or move one on."""
        if self._small and (self._small_bytes > self.max_bytes * SMALL_SHARE or not self._main):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        key, node = self._small.popitem(last=False)
        self._small_bytes -= node.size_bytes
        if node.uses:
            node.is_main, node.uses = True, 0
            self._main[key] = node
            return
        self._forget(node)
        self._ghosts[key] = None
        while len(self._ghosts) > max(len(self.nodes) * GHOST_SHARE, 1):
            self._ghosts.popitem(last=False)

    def _evict_main(self) -> None:
        key, node = next(iter(self._main.items()))
        if node.uses:
            node.uses -= 1
            self._main.move_to_end(key)
            return
        del self._main[key]
        self._forget(node)

    def _forget(self, node: N) -> None:
        del self.nodes[node.key]
        self.bytes -= node.size_bytes
        self.evicted += 1


class _ItemNode(MemoryNode):
    """An item in memory."""

    __slots__ = ("item",)

    def __init__(self, item: Item) -> None:
        super().__init__(item.key, len(item.data))
        self.item = item


class MemoryStore(ByteStore):
    """A store in this process's memory; two caches that share one act as two processes would."""

    reach = "process"

    def __init__(self, max_bytes: int = 1 << 30, *, name: str = "memory") -> None:
        self.name = name
        self.epoch = self._floor = first_epoch()
        self._queue: MemoryQueue[_ItemNode] = MemoryQueue(max_bytes)
        self._kept: dict[bytes, Item] = {}
        self._bumps: OrderedDict[bytes, int] = OrderedDict()
        self._leases: dict[bytes, tuple[bytes, float]] = {}
        self._notes: deque[bytes] = deque(maxlen=NOTES_KEPT)
        self._listeners: set[Callable[[int], None]] = set()

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, in order."""
        return [self._get(key) for key in keys]

    def _get(self, key: bytes) -> bytes | None:
        kept = self._kept.get(key)
        if kept is not None:
            return kept.data
        node = self._queue.nodes.get(key)
        if node is None:
            return None
        node.uses = min(node.uses + 1, MOST_USES)
        return node.item.data

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items, as long as there is room for those that are not kept."""
        for item in items:
            self._drop(item.key)
            if item.is_kept:
                self._kept[item.key] = item
            else:
                self._queue.put(_ItemNode(item))

    def _drop(self, key: bytes) -> bool:
        return self._kept.pop(key, None) is not None or self._queue.drop(key)

    def _items(self) -> list[Item]:
        return [*self._kept.values(), *(node.item for node in self._queue.nodes.values())]

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys; return how many were there."""
        return sum(self._drop(key) for key in keys)

    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything that belongs to one person; return how many items."""
        return sum(self._drop(item.key) for item in self._items() if item.owner == owner)

    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then; return how many items."""
        return sum(self._drop(item.key) for item in self._items() if item.created_s < before_s)

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item."""
        for item in self._items():
            yield item.data

    async def size(self) -> StoreSize:
        """Return how much is held."""
        kept_bytes = sum(len(item.data) for item in self._kept.values())
        return StoreSize(len(self._kept) + len(self._queue.nodes), self._queue.bytes + kept_bytes)

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch and note it for the marks."""
        self.epoch += 1
        for mark in marks:
            self._bumps[mark] = self.epoch
            self._bumps.move_to_end(mark)
        while len(self._bumps) > MARKS_KEPT:
            self._floor = self._bumps.popitem(last=False)[1]
        for heard in tuple(self._listeners):
            heard(self.epoch)
        return self.epoch

    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return the marks bumped after ``since``, and how ``marks`` stand."""
        bumps = {mark: self._bumps[mark] for mark in marks if mark in self._bumps}
        for mark in reversed(self._bumps):
            if self._bumps[mark] <= since:
                break
            bumps[mark] = self._bumps[mark]
        return Changes(self.epoch, self._floor, bumps)

    async def restart(self, above: int) -> None:
        """Raise epoch and floor above ``above``."""
        self.epoch = self._floor = max(first_epoch(), above + 1, self.epoch + 1)

    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Let ``holder`` have the lease on ``key``, unless another has it."""
        now_s = current_clock().now()
        held_by, until_s = self._leases.get(key, (holder, 0.0))
        if held_by != holder and now_s < until_s:
            return False
        self._leases[key] = (holder, now_s + ttl_s)
        return True

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""
        if self._leases.get(key, (b"", 0.0))[0] == holder:
            del self._leases[key]

    async def note(self, line: bytes) -> None:
        """Add a line to the notes."""
        self._notes.appendleft(line)

    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""
        return list(self._notes)[:limit]

    async def listen(self, heard: Callable[[int], None]) -> None:
        """Call ``heard`` with each new epoch until cancelled."""
        self._listeners.add(heard)
        try:
            await super().listen(heard)
        finally:
            self._listeners.discard(heard)
