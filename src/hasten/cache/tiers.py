"""The tiers beyond memory: stores that may fail without failing a request.

Owns asking a store under its breaker: whatever goes wrong becomes a miss and a
counter, and a store that did not answer is left alone until a ping in the
background finds it again. Leaves deadlines to the stores and order to ``cache``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hasten.cache.entry import seal
from hasten.clock import current_clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.base import ByteStore, Item
from hasten.store.breaker import StoreBreaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hasten.cache.entry import CacheEntry

T = TypeVar("T")
_log = logging.getLogger(__name__)

SHARED_RESIDENCE_S = 3_600.0
"""How long a shared tier keeps a copy, unless told otherwise."""

REST_S = 1.0
"""A store that did not answer is pinged so often until it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A store and how long it keeps a copy; ``None``: as long as the entry is of use.

    A tier that is not the last keeps copies for a while only; the last one is home.
    """

    store: ByteStore
    residence_s: float | None = None


class TierStatus(msgspec.Struct, frozen=True):
    """Whether a tier answers, how often it failed, and what it said last."""

    tier: str
    is_available: bool
    errors: int
    last_error: str


class CacheTier:
    """A store as the cache uses it: it never raises, it only has nothing to give.

    ``is_keeper``: entries that are kept live in it, however long it keeps others.
    """

    def __init__(self, tier: Tier, *, is_keeper: bool = False) -> None:
        self.store = tier.store
        self.name = tier.store.name
        self.residence_s = tier.residence_s
        self.errors = 0
        self._is_keeper = is_keeper
        self._last_error = ""
        self._clock = current_clock()
        self._breaker = StoreBreaker(self.name, REST_S, self._clock)
        self._recovery: asyncio.Task[None] | None = None

    @property
    def is_available(self) -> bool:
        """Whether the store answered when it was last asked."""
        return not self._breaker.is_open

    def status(self) -> TierStatus:
        """Return how the tier is."""
        return TierStatus(self.name, self.is_available, self.errors, self._last_error)

    async def ask(self, call: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Return what the store answers, or ``otherwise`` at once while it is unavailable."""
        if self._breaker.is_open:
            return otherwise
        try:
            return await call()
        except StoreError as error:
            self._note(error)
            return otherwise

    async def get(self, digest: bytes) -> bytes | None:
        """Return the bytes of one entry, if the store has them."""
        if self._breaker.is_open:
            return None
        try:
            return (await self.store.get_many((digest,)))[0]
        except StoreError as error:
            self._note(error)
            return None

    async def put(self, entries: Sequence[CacheEntry], now_s: float) -> bool:
        """Keep the entries; whether the store took them."""
        items = [self._item(entry, now_s) for entry in entries]
        return await self.ask(lambda: self._put(items), False)  # noqa: FBT003 - what it returns

    async def _put(self, items: list[Item]) -> bool:
        await self.store.set_many(items)
        return True

    def _item(self, entry: CacheEntry, now_s: float) -> Item:
        is_kept = entry.is_kept and self._is_keeper
        is_copy = self.residence_s is not None and not is_kept
        leaves_s = now_s + (self.residence_s or 0.0) if is_copy else None
        ends = [at for at in (entry.until_s, leaves_s) if at is not None]
        return Item(
            key=entry.digest,
            data=seal(entry),
            created_s=entry.created_s,
            expires_s=min(ends, default=None),
            owner=entry.owner,
            is_kept=is_kept,
        )

    async def delete(self, digests: Sequence[bytes]) -> None:
        """Delete entries."""
        await self.ask(lambda: self.store.delete_many(digests), 0)

    async def delete_owned(self, owner: bytes) -> int | None:
        """Delete what belongs to one person; ``None`` if the store could not be asked."""
        return await self.ask(lambda: self.store.delete_owned(owner), None)

    async def delete_created(self, before_s: float) -> int:
        """Delete what was created before then; return how many items."""
        return await self.ask(lambda: self.store.delete_created(before_s), 0)

    async def close(self) -> None:
        """Stop looking for the store, and close it."""
        if self._recovery is not None:
            self._recovery.cancel()
        await self.store.close()

    def _note(self, error: StoreError) -> None:
        self.errors += 1
        if not self._last_error:
            _log.warning("cache tier %s failed, requests go on without it: %s", self.name, error)
        self._last_error = str(error)
        if not isinstance(error, StoreUnavailable):
            return
        self._breaker.trip()
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.create_task(self._recover(), name=f"recover {self.name}")

    async def _recover(self) -> None:
        """Ping the store until it answers; one ping at a time, however many wait for it."""
        while self._breaker.is_open:
            await self._clock.sleep(REST_S * 1.05)
            try:
                with self._breaker.guard():
                    await self.store.ping()
            except StoreError as error:
                self._last_error = str(error)
        self._last_error = ""
        _log.info("cache tier %s answers again", self.name)


def open_tiers(
    tiers: Sequence[Tier], kept: ByteStore | None
) -> tuple[list[CacheTier], list[CacheTier]]:
    """Return the tiers of plain entries, and those of what is kept: its home is ``kept``.

    Without it the last tier is home to both; otherwise what is kept has no copy there.
    """
    if kept is None and tiers:
        kept = tiers[-1].store
    plain = [CacheTier(one, is_keeper=one.store is kept) for one in tiers]
    keepers = [tier for tier in plain if tier.store is kept]
    if kept is not None and not keepers:
        keepers = [CacheTier(Tier(store=kept), is_keeper=True)]
    return plain, [*(tier for tier in plain[:-1] if tier not in keepers), *keepers]
