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
from hasten.errors import CodecError
from hasten.store.memory import MOST_USES, MemoryNode, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten.cache.entry import CacheEntry
    from hasten.cache.stats import CacheCounters

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

    def __init__(self, max_bytes: int, residence_s: float) -> None:
        self.residence_s = residence_s
        self.queue: MemoryQueue[HeldEntry] = MemoryQueue(max_bytes)

    def hold(
        self, entry: CacheEntry, value: object, counters: CacheCounters, now_s: float
    ) -> HeldEntry:
        """Hold ``entry``, whose value is ``value``, from now on; return how it is held."""
        held = HeldEntry(entry, value, counters, now_s + self.residence_s)
        self.queue.put(held)
        return held

    def drop(self, digest: bytes) -> bool:
        """Let go of an entry; whether it was held."""
        return self.queue.drop(digest)

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
