"""The memory tier: entries held so that a hit needs no decoding and no waiting.

Owns what is held and in which form: bytes, strings, numbers and frozen structs
of these are shared as they are, anything mutable is decoded on each read, so that
no caller can change another's answer. Leaves what stays when there is no room to
``store/memory``.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from hasten import codec
from hasten.cache.decide import early_from_s
from hasten.clock import current_clock
from hasten.errors import CodecError
from hasten.store.memory import MOST_USES, MemoryNode, MemoryQueue

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from hasten.cache.entry import CacheEntry
    from hasten.cache.generation import CacheGenerations
    from hasten.cache.stats import CacheCounters, CacheStats

SWEEP_AFTER_S = 1.0
"""What was invalidated leaves memory so soon after the news; it is not served in between."""

SWEEP_ENTRY_S = 2e-4
"""Or after so long for each entry held, if that is more: a look takes a fiftieth of it, and news
may come without end."""

SWEEP_ENTRIES = 500
"""A sweep lets others have their turn after so many entries."""

OVERHEAD_BYTES = 1_000
"""What an entry takes besides its value, roughly: its envelope, its node, three dict slots."""

_PLAIN = (str, bytes, int, float, bool, type(None))


class HeldEntry(MemoryNode):
    """An entry in memory.

    ``plain_until_s`` is until when a plain request needs no thought: it is fresh,
    not due for an early refresh, and memory may hold it. ``sure_epoch`` is the
    epoch at which it was last found alive. A shared value lies in ``value``; of any
    other the entry's body is decoded for each reader.
    """

    __slots__ = (
        "counters",
        "entry",
        "hits",
        "is_shared",
        "last_hit_s",
        "leaves_s",
        "plain_until_s",
        "sure_epoch",
        "value",
    )

    def __init__(
        self, entry: CacheEntry, value: object, counters: CacheCounters, leaves_s: float
    ) -> None:
        weight = None if entry.kind == "error" else _weight(value)
        super().__init__(entry.digest, (weight or len(entry.body)) + OVERHEAD_BYTES)
        self.is_shared = weight is not None
        self.value = value if self.is_shared else None
        self.entry = msgspec.structs.replace(entry, body=b"") if self.is_shared else entry
        self.counters = counters
        self.leaves_s = leaves_s
        self.plain_until_s = _plain_until_s(entry, leaves_s)
        self.sure_epoch = 0
        self.hits = 0
        self.last_hit_s = 0.0

    def use(self, now_s: float) -> None:
        """Count a plain hit."""
        self.touch(now_s)
        entry = self.entry
        origin = entry.provenance
        self.counters.hit(now_s - entry.created_s, origin.compute_s, origin.cost_usd)

    def touch(self, now_s: float) -> None:
        """Note that the entry was used, so that it stays."""
        if self.uses < MOST_USES:
            self.uses += 1
        self.hits += 1
        self.last_hit_s = now_s

    def read(self, returns: Any) -> Any:
        """Return the value. Raises ``CodecError`` if it is not of the type ``returns``."""
        return self.value if self.is_shared else codec.decode(self.entry.body, returns)


class CacheMemory:
    """The entries this process holds, at most ``max_bytes`` and each for ``residence_s``."""

    name = "memory"

    def __init__(
        self, max_bytes: int, residence_s: float, view: CacheGenerations, stats: CacheStats
    ) -> None:
        self.residence_s = residence_s
        self.queue: MemoryQueue[HeldEntry] = MemoryQueue(max_bytes)
        self._view = view
        self._stats = stats
        self._sweep: asyncio.Task[None] | None = None

    def hold(self, entry: CacheEntry, value: object) -> None:
        """Hold an entry that was found alive just now, and whose value is ``value``."""
        if self.residence_s <= 0:
            return
        leaves_s = current_clock().now() + self.residence_s
        held = HeldEntry(entry, value, self._stats.of(entry.use, self.name), leaves_s)
        held.sure_epoch = self._view.epoch
        self.queue.put(held)

    def alive(self, digest: bytes) -> HeldEntry | None:
        """Return what is held, unless it was invalidated or the view cannot tell any more."""
        held = self.queue.nodes.get(digest)
        if held is None or held.sure_epoch == self._view.epoch:
            return held
        if self._stands(held):
            held.sure_epoch = self._view.epoch
            return held
        self.drop(digest)
        return None

    def _stands(self, held: HeldEntry) -> bool:
        entry = held.entry
        return not self._view.unknown(entry.marks) and self._view.is_alive(entry.marks)

    def drop(self, digest: bytes) -> bool:
        """Let go of an entry; whether it was held."""
        return self.queue.drop(digest)

    def drop_held(self, held: HeldEntry) -> None:
        """Let go of this very entry, if it is still held."""
        if self.queue.nodes.get(held.key) is held:
            self.queue.drop(held.key)

    def drop_owned(self, owner: bytes) -> int:
        """Let go of everything that belongs to one person; return how many entries."""
        return sum(self.drop(held.key) for held in self.entries() if held.entry.owner == owner)

    def sweep_soon(self, run: Callable[[Coroutine[Any, Any, None], str], Any]) -> None:
        """Free what was invalidated, in the background, unless that is under way."""
        if self._sweep is None or self._sweep.done():
            self._sweep = run(self._sweep_all(), "cache sweep")

    async def _sweep_all(self) -> None:
        """Let go of what is dead or has stayed too long, again while there are news meanwhile."""
        clock, epoch = current_clock(), 0
        while epoch != self._view.epoch:
            epoch = self._view.epoch
            await clock.sleep(max(SWEEP_AFTER_S, len(self.queue.nodes) * SWEEP_ENTRY_S))
            for count, held in enumerate(self.entries(), 1):
                if clock.now() >= held.leaves_s or not self._stands(held):
                    self.drop_held(held)
                if count % SWEEP_ENTRIES == 0:
                    await clock.sleep(0)

    def entries(self) -> Iterator[HeldEntry]:
        """Yield what is held; the queue may change meanwhile."""
        yield from list(self.queue.nodes.values())


def copy_of(value: Any, returns: Any) -> Any:
    """Return ``value`` for one more reader: itself if it can be shared, else a copy if possible."""
    if _weight(value) is not None:
        return value
    try:
        return codec.decode(codec.encode(value), returns)
    except CodecError:
        return value


def _plain_until_s(entry: CacheEntry, leaves_s: float) -> float:
    if entry.kind == "error":
        return -math.inf
    fresh_until_s = math.inf if entry.fresh_until_s is None else entry.fresh_until_s
    return min(leaves_s, fresh_until_s, early_from_s(entry))


def _weight(value: object) -> int | None:
    """Return the bytes a value takes if readers may share it, ``None`` if one could change it."""
    if isinstance(value, _PLAIN):
        return sys.getsizeof(value)
    if isinstance(value, (tuple, frozenset)):
        parts = [_weight(one) for one in value]
    elif isinstance(value, msgspec.Struct) and value.__struct_config__.frozen:
        parts = [_weight(getattr(value, name)) for name in value.__struct_fields__]
    else:
        return None
    return None if None in parts else sys.getsizeof(value) + sum(one or 0 for one in parts)
