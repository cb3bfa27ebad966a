"""A store whose failures tests decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten.clock import current_clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.base import ByteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from hasten.store.base import Changes, Item, StoreSize


class FlakyStore(ByteStore):
    """Passes every call on to ``inner``, late by ``delay_s``, or fails as told.

    ``deadline_s`` is the store's own: a call that would take longer is unavailable then.
    ``calls`` counts what reached it.
    """

    def __init__(self, inner: ByteStore, *, deadline_s: float = 0.1) -> None:
        self.inner = inner
        self.name = inner.name
        self.reach = inner.reach
        self.deadline_s = deadline_s
        self.delay_s: Callable[[], float] = lambda: 0.0
        self.is_down = self.is_full = self.is_frozen = False
        self.garble: Callable[[bytes], bytes] = lambda data: data
        self.calls = 0

    async def _pass(self, name: str, *arguments: Any) -> Any:
        self.calls += 1
        delay_s = self.deadline_s if self.is_frozen else min(self.delay_s(), self.deadline_s)
        if delay_s:
            await current_clock().sleep(delay_s)
        if self.is_down or delay_s >= self.deadline_s:
            message = f"{self.name} is told to fail"
            raise StoreUnavailable(message, store=self.name)
        if self.is_full and name == "set_many":
            message = f"{self.name} is full"
            raise StoreError(message, store=self.name)
        answer = await getattr(self.inner, name)(*arguments)
        self.epoch = self.inner.epoch
        return answer

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return what is kept under each key, garbled if told so."""
        found = await self._pass("get_many", keys)
        return [data and self.garble(data) for data in found]

    async def set_many(self, items: Sequence[Item]) -> None:
        """Keep the items."""
        await self._pass("set_many", items)

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Forget the keys."""
        return await self._pass("delete_many", keys)

    async def delete_owned(self, owner: bytes) -> int:
        """Forget everything of one person."""
        return await self._pass("delete_owned", owner)

    async def delete_created(self, before_s: float) -> int:
        """Forget what is old."""
        return await self._pass("delete_created", before_s)

    async def scan(self) -> AsyncIterator[bytes]:
        """Yield every item."""
        await self._pass("ping")
        async for data in self.inner.scan():
            yield data

    async def size(self) -> StoreSize:
        """Return how much is held."""
        return await self._pass("size")

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Raise the epoch."""
        return await self._pass("bump", marks)

    async def changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes:
        """Return what was bumped."""
        return await self._pass("changes", since, marks)

    async def restart(self, above: int) -> None:
        """Start again."""
        await self._pass("restart", above)

    async def take_lease(self, key: bytes, holder: bytes, ttl_s: float) -> bool:
        """Take a lease."""
        return await self._pass("take_lease", key, holder, ttl_s)

    async def drop_lease(self, key: bytes, holder: bytes) -> None:
        """Drop a lease."""
        await self._pass("drop_lease", key, holder)

    async def note(self, line: bytes) -> None:
        """Add a note."""
        await self._pass("note", line)

    async def notes(self, limit: int) -> list[bytes]:
        """Return the notes."""
        return await self._pass("notes", limit)
