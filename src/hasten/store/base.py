"""A store of bytes: the one interface behind every cache tier.

Owns what a store promises; leaves what the bytes mean to ``cache/entry`` and
when to ask which store to ``cache/tiers``. ``memory``, ``disk``, ``redis`` and
``sql/cache_table`` implement it; ``hasten.testing.store_contract`` holds them to it.

Besides bytes a store keeps *generations*, by which values are invalidated
without touching them. Each bump raises the store's epoch by one and notes that
epoch for the bumped marks; a value filled in at generation g is dead once one of
its marks was bumped above g. A store that loses its memory must not bring dead
values back: it starts again with ``floor``, and a value below that is dead, too.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import msgspec

from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

Reach = Literal["process", "machine", "network"]
"""Who sees what a store keeps: this process, all of this machine, every machine."""

NOTES_KEPT = 10_000
"""The newest so many notes are kept."""

MARKS_KEPT = 1_000_000
"""The latest so many bumped marks are remembered; forgetting one raises the floor to it."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes to keep under ``key``, a digest of 32 bytes.

    ``expires_s`` (seconds since the Unix epoch) is when they are of no use any
    more and may be dropped; ``is_kept`` ones are never dropped for size.
    ``owner`` names the person they belong to.
    """

    key: bytes
    data: bytes
    created_s: float
    expires_s: float | None = None
    owner: bytes = b""
    is_kept: bool = False


class Changes(msgspec.Struct, frozen=True):
    """Where a store's generations stand, and the marks bumped since one was asked about."""

    epoch: int
    floor: int
    bumps: dict[bytes, int]


class StoreSize(msgspec.Struct, frozen=True):
    """How much a store holds."""

    entries: int
    bytes: int


class ByteStore(ABC):
    """Keeps bytes. Each call ends within the store's own deadline.

    Raises ``StoreUnavailable`` when it is gone, slow or full and ``StoreError``
    when it refuses. ``epoch`` is the newest epoch any answer has told so far.
    """

    name: str
    reach: Reach
    epoch: int = 0

    @abstractmethod
    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, in order."""

    @abstractmethod
    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items, replacing what was under their keys."""

    @abstractmethod
    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys; return how many were there."""

    @abstractmethod
    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything that belongs to one person; return how many items."""

    @abstractmethod
    async def delete_created(self, before_s: float) -> int:
        """Forget everything created before then, kept or not; return how many items."""

    @abstractmethod
    def scan(self) -> AsyncIterator[bytes]:
        """Yield the bytes of every item, in no order; what changes meanwhile may be missed."""

    @abstractmethod
    async def size(self) -> StoreSize:
        """Return how much is held."""

    @abstractmethod
    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch, note it for the marks, tell every listener, and return it."""

    @abstractmethod
    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return the marks bumped after epoch ``since``, and how ``marks`` stand in any case.

        A mark that was never bumped is left out.
        """

    @abstractmethod
    async def restart(self, above: int) -> None:
        """Raise epoch and floor above ``above``: every value filled in before is dead."""

    @abstractmethod
    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Let ``holder`` have the lease on ``key`` for ``ttl_s``, or have it longer.

        Whether it is theirs: ``False`` while another holds it.
        """

    @abstractmethod
    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Give up the lease, if it is still ``holder``'s."""

    @abstractmethod
    async def note(self, line: bytes) -> None:
        """Add a line to the store's notes, which outlive what they are about."""

    @abstractmethod
    async def notes(self, limit: int) -> list[bytes]:
        """Return the newest notes, newest first."""

    async def listen(self, heard: Callable[[int], None]) -> None:  # noqa: ARG002 - no news here
        """Call ``heard`` with each new epoch, until cancelled; some stores have no news."""
        await asyncio.get_running_loop().create_future()

    async def ping(self) -> None:
        """Find out whether the store answers."""
        await self.get_many([bytes(32)])

    async def close(self) -> None:
        """Finish what is under way and let go of threads and connections."""


def first_epoch() -> int:
    """Return the epoch a store without memory starts at: above all it may have had before.

    Microseconds since the Unix epoch: no store is bumped a million times a second.
    """
    return int(current_clock().now() * 1e6)
