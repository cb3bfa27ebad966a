"""The ledger: the one store that counts this cache's generations and lends its leases.

Owns keeping the local view (``generation``) up to date and asking the store. A
ledger that cannot be reached never fails a request: the view stands as it is, and
every process computes for itself.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import TYPE_CHECKING

from hasten.cache.generation import NEVER, SYNC_EVERY_S, CacheGenerations
from hasten.cache.tiers import REST_S, CacheTier, Tier
from hasten.clock import current_clock
from hasten.store.base import Changes
from hasten.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hasten.cache.entry import CacheEntry
    from hasten.store.base import ByteStore

TOGETHER_S = 0.1
"""What is written within this time is looked after together."""

_REACH = ("process", "machine", "network")


class CacheLedger:
    """The ledger in ``tier``; ``is_shared`` unless nobody but this cache can bump it.

    ``on_news`` is called whenever something was invalidated, here or elsewhere.
    """

    def __init__(self, tier: CacheTier, *, is_shared: bool) -> None:
        self.tier = tier
        self.is_shared = is_shared
        self.view = CacheGenerations()
        self.on_news: Callable[[], None] = _no_news
        self._holder = secrets.token_bytes(8)
        self._pulling: asyncio.Task[None] | None = None
        self._soon: asyncio.Task[None] | None = None
        self._clock = current_clock()  # one for all who ask: a run has a pace of its own
        self._pulled_s = -math.inf

    async def sync(self) -> None:
        """Bring the view up to date, once for all who ask meanwhile."""
        if self._pulling is None or self._pulling.done():
            self._pulling = asyncio.create_task(self.pull(), name="cache generations")
        await asyncio.shield(self._pulling)

    async def pull_soon(self) -> None:
        """Bring the view up to date by a look that begins after now, at most one in ``TOGETHER_S``.

        For whoever has written something and is not waited for: a look at a database costs
        more than the write did.
        """
        wait_s = self._pulled_s + TOGETHER_S - self._clock.monotonic()
        if wait_s <= 0 or self.tier.store.reach == "process":
            self._pulled_s = self._clock.monotonic()
            await self.pull()
            return
        if self._soon is None:
            self._soon = asyncio.create_task(self._pull_in(wait_s), name="cache generations, soon")
        await asyncio.shield(self._soon)

    async def _pull_in(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        self._soon = None  # who has written from now on needs a later look
        self._pulled_s = self._clock.monotonic()
        await self.pull()

    async def pull(self) -> None:
        """Bring the view up to date now. A ledger that forgot is told to start again above it."""
        store, view = self.tier.store, self.view
        known = view.epoch
        since = known or NEVER  # where things stand, and no history
        changes = await self._changes(since)
        if changes is not None and changes.epoch < known:
            await self.tier.ask(lambda: store.restart(known), None)
            changes = await self._changes(since)
        if changes is not None:
            is_news = changes.epoch != view.epoch
            view.apply(changes)
            if is_news:
                self.on_news()
        view.sure_until_s = current_clock().now() + SYNC_EVERY_S if self.is_shared else math.inf

    async def _changes(self, since: int, marks: Sequence[bytes] = ()) -> Changes | None:
        return await self.tier.ask(lambda: self.tier.store.changes(since, marks), None)

    async def bumps(self, marks: Sequence[bytes]) -> dict[bytes, int]:
        """Return when the marks were bumped last; nothing while the ledger cannot be reached."""
        changes = await self._changes(NEVER, marks)
        return {} if changes is None else changes.bumps

    async def is_alive(self, entry: CacheEntry, found_in: CacheTier, before: int = NEVER) -> bool:
        """Whether an entry that a tier gave stands, by a view that is up to date for it.

        With ``before``, whether it stood before that epoch.
        """
        view = self.view
        if found_in.store is self.tier.store and self.tier.store.epoch > view.epoch:
            await self.pull()
        unknown = view.unknown(entry.marks)
        if unknown:
            changes = await self._changes(view.epoch, unknown)
            if changes is None:
                return False
            view.apply(changes, unknown)
        return view.is_alive(entry.marks, before)

    async def bump(self, marks: Sequence[bytes]) -> int:
        """Kill everything that has one of the marks; return the epoch.

        Raises ``StoreUnavailable`` when the ledger cannot be told: then nothing has
        been invalidated for other processes.
        """
        epoch = await self.tier.store.bump(marks)
        view = self.view
        if view.epoch and epoch == view.epoch + 1:  # nobody else bumped in between: no need to ask
            view.apply(Changes(epoch, 0, dict.fromkeys(marks, epoch)))
            self.on_news()
        else:
            await self.pull()
        return epoch

    async def restart(self) -> None:
        """Kill everything there is. Raises ``StoreUnavailable`` when the ledger cannot be told."""
        await self.tier.store.restart(self.view.epoch)
        await self.pull()

    async def take_lease(self, digest: bytes, ttl_s: float) -> bool:
        """Whether this process may compute what ``digest`` stands for; yes if nobody can tell."""
        return await self.tier.ask(
            lambda: self.tier.store.take_lease(digest, self._holder, ttl_s),
            True,  # noqa: FBT003 - what it returns
        )

    async def drop_lease(self, digest: bytes) -> None:
        """Let others compute it again."""
        await self.tier.ask(lambda: self.tier.store.drop_lease(digest, self._holder), None)

    async def follow(self) -> None:
        """Doubt the view with every bump the ledger tells of, until cancelled."""
        if not self.is_shared:
            return
        while True:
            await self.tier.ask(lambda: self.tier.store.listen(self._heard), None)
            await current_clock().sleep(REST_S)

    def _heard(self, epoch: int) -> None:
        if epoch > self.view.epoch:
            self.view.doubt()


def _no_news() -> None:
    """Nobody wants to know."""


def ledger_of(tiers: Sequence[CacheTier], store: ByteStore | None) -> CacheLedger:
    """Return the ledger in ``store``; without one in the nearest tier of the widest reach.

    A cache without tiers keeps its own.
    """
    if store is None and tiers:
        store = max(tiers, key=lambda tier: _REACH.index(tier.store.reach)).store
    for tier in tiers:
        if tier.store is store:
            return CacheLedger(tier, is_shared=True)
    if store is not None:
        return CacheLedger(CacheTier(Tier(store=store)), is_shared=True)
    alone = CacheTier(Tier(store=MemoryStore(0, name="ledger")))
    return CacheLedger(alone, is_shared=False)
