"""The way of a call through the cache: memory, the tiers, a flight that others may join.

Owns the parts a cache is made of and the one way a call goes between them:
``_find`` is its beginning, ``_arrive`` its end. Leaves looking in the tiers to
``look``, computing and storing to ``fill``, what may be served to ``decide``, and
what callers ask of a cache to ``cache``, which goes this way for each call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from hasten.cache.decide import Decision, Fresh, Miss, Stale, decide
from hasten.cache.fill import CacheFill, stored_failure
from hasten.cache.flight import Answer, CacheFlight, CacheFlights, said_of
from hasten.cache.ledger import CacheLedger, ledger_of
from hasten.cache.look import CacheCall, CacheLook
from hasten.cache.memory import CacheMemory, HeldEntry, copy_of
from hasten.cache.policy import PLAIN, CachePolicy
from hasten.cache.stats import CacheStats
from hasten.cache.tiers import CacheTier, Tier, open_tiers
from hasten.cache.trail import CacheTrail, current_trail, inherit, use_entry
from hasten.cache.writing import CacheWriting
from hasten.clock import current_clock
from hasten.errors import CodecError, NotCached
from hasten.trace.recorder import OpenSpan, current_recorder, degrade
from hasten.virtual import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from hasten.cache.entry import CacheEntry
    from hasten.store.base import ByteStore

T = TypeVar("T")
P = TypeVar("P")

MEMORY_BYTES = 100 * 1024 * 1024
MEMORY_RESIDENCE_S = 300.0
"""What memory holds, and how long before the tiers behind it, unless told otherwise."""


class CacheWay:
    """What a cache has, and how a call goes through it; ``Cache`` says what each is for."""

    def __init__(
        self,
        tiers: Sequence[Tier] = (),
        *,
        kept: ByteStore | None = None,
        ledger: ByteStore | None = None,
        memory_bytes: int = MEMORY_BYTES,
        memory_residence_s: float | None = None,
    ) -> None:
        self.tiers, self._kept_in = open_tiers(tiers, kept)
        self.ledger: CacheLedger = ledger_of(self.all_tiers(), ledger)
        if memory_residence_s is None:
            memory_residence_s = MEMORY_RESIDENCE_S if tiers else math.inf
        self.stats = CacheStats()
        self.memory = CacheMemory(memory_bytes, memory_residence_s, self.ledger.view, self.stats)
        self.flights = CacheFlights(self.ledger.view)
        self._nodes = self.memory.queue.nodes
        self._view = self.ledger.view
        self.ledger.on_news = lambda: self.memory.sweep_soon(self.flights.run)
        self.writing = CacheWriting(self)
        self._random = random.Random()  # noqa: S311 - spreads early refreshes, guards nothing

    async def __aenter__(self) -> Self:
        self.flights.run(self.ledger.follow(), "cache news")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop what is being computed, write what was, and close the tiers."""
        await self.flights.close()
        await self.writing.close()
        for tier in {self.ledger.tier, *self.all_tiers()}:
            await tier.close()

    def all_tiers(self) -> list[CacheTier]:
        """Return the tiers beyond memory, one that is only for what is kept last."""
        return [*self.tiers, *(tier for tier in self._kept_in if tier not in self.tiers)]

    def tiers_of(self, policy: CachePolicy) -> list[CacheTier]:
        """Return the tiers that entries under ``policy`` live in."""
        if policy.is_local:
            return []
        return self._kept_in if policy.is_kept else self.tiers

    def plain_hit(self, digest: bytes) -> HeldEntry | None:
        """Return what memory holds for a plain request if it needs no further thought.

        It is counted as a hit. Ask in the usual way when there is none.
        """
        held = self._nodes.get(digest)
        if held is None or held.sure_epoch != self._view.epoch:
            return None
        now_s = current_clock().now()
        if now_s >= held.plain_until_s or now_s >= self._view.sure_until_s:
            return None
        held.use(now_s)
        return held

    async def _find(self, call: CacheCall) -> Answer | tuple[CacheFlight, bool]:
        """Return the stored answer, or the flight that gets it and whether it is this call's own.

        A request with directives flies alone: what suits others may not suit it.
        """
        if self.ledger.view.is_due:
            await self.ledger.sync()
        is_joinable = call.directives is PLAIN or call.directives == PLAIN
        found = self._at_hand(call, is_joinable=is_joinable)
        if found is not None:
            return found
        look = CacheLook(self, call)
        answer = await look.find()
        if answer is not None:
            self.keep_found(call, answer, look.behind)
            return self._given(call, answer)
        if call.directives.only_if_cached:
            message = f"only-if-cached: {call.key.label}: {look.reason}"
            raise NotCached(message, reason=look.reason)
        # Others were not idle while the tiers were asked.
        found = self._at_hand(call, is_joinable=is_joinable) if look.tiers else None
        if found is not None:
            return found
        flight = self.new_flight(call, is_joinable=is_joinable)
        self.flights.start(CacheFill(self, call, flight, look).run(), [flight])
        return flight, True

    def _at_hand(
        self, call: CacheCall, *, is_joinable: bool
    ) -> Answer | tuple[CacheFlight, bool] | None:
        """Return what this process has or is getting."""
        answer = self._from_memory(call)
        if answer is not None:
            return self._given(call, answer)
        flight = self.flights.joinable(call.key.digest) if is_joinable else None
        return None if flight is None else (flight, False)

    def _given(self, call: CacheCall, answer: Answer) -> Answer:
        """Record a stored answer that a caller is given."""
        if call.here is not None:
            call.here.set(**said_of(call, answer))
        elif current_recorder() is not None:
            with OpenSpan("cache", call.policy.use, said_of(call, answer)):
                pass
        return _heard(answer)

    def _from_memory(self, call: CacheCall) -> Answer | None:
        """Return what memory may answer; an error it keeps is raised."""
        held = self.memory.alive(call.key.digest)
        now_s = current_clock().now()
        if held is None or now_s >= held.leaves_s:
            return None
        decision = decide(held.entry, now_s, call.directives, call.policy, self.draw())
        if isinstance(decision, Miss):
            return None
        answer = self._held_answer(held, call, decision)
        if answer is not None:
            held.touch(now_s)
            self._count(call, answer)
            self.renew_if_due(call, decision)
        return answer

    def _held_answer(self, held: HeldEntry, call: CacheCall, decision: Decision) -> Answer | None:
        if held.entry.kind == "error":
            self._count(call, Answer(None, decision, self.memory.name, held.entry))
            raise stored_failure(held.entry)
        try:
            value = held.read(call.policy.returns)
        except CodecError:
            self.memory.drop(held.key)
            return None
        return Answer(value, decision, self.memory.name, held.entry)

    def spare(self, call: CacheCall) -> Answer | None:
        """Return what memory holds in case the computation fails."""
        held = self.memory.alive(call.key.digest)
        if held is None or held.entry.kind == "error":
            return None
        return self._held_answer(held, call, Miss("held in case of an error"))

    def keep_found(self, call: CacheCall, answer: Answer, behind: Sequence[CacheTier]) -> None:
        """Hold what a tier gave, hand it to the tiers ``behind``; an error it keeps is raised."""
        entry = answer.entry
        if entry is None:
            return
        self.memory.hold(entry, answer.value)
        self._count(call, answer)
        if behind:
            self.flights.run(self.write(entry, behind), "cache promotion")
        if entry.kind == "error":
            raise stored_failure(entry)
        self.renew_if_due(call, answer.decision)

    def renew_if_due(self, call: CacheCall, decision: Decision) -> None:
        """Compute anew what is being served, if the decision says so and nobody does yet."""
        if isinstance(decision, Fresh):
            is_due = decision.is_early
        else:
            is_due = isinstance(decision, Stale) and decision.is_renewed
        if is_due and self.flights.joinable(call.key.digest) is None:
            call = dataclasses.replace(call, directives=PLAIN, here=None)
            flight = self.new_flight(call, is_joinable=True)
            look = CacheLook(self, call, is_renewal=True)
            self.flights.run(CacheFill(self, call, flight, look).run(), "cache renewal")

    async def write(self, entry: CacheEntry, tiers: Sequence[CacheTier]) -> None:
        """Write an entry to some tiers, nearest first; one that fails counts it itself."""
        now_s = current_clock().now()
        for tier in tiers:
            if await tier.put([entry], now_s):
                self.stats.of(entry.use, tier.name).stored += 1

    def is_alive(self, entry: CacheEntry, trail: CacheTrail) -> bool:
        """Whether nothing an entry was made of, nor it itself, was invalidated by now."""
        view = self.ledger.view
        return view.is_alive(entry.marks) and trail.is_alive(view)

    async def delete(self, digests: Sequence[bytes]) -> None:
        """Delete entries here and in every tier."""
        for digest in digests:
            self.memory.drop(digest)
        for tier in self.all_tiers():
            await tier.delete(digests)

    def new_flight(self, call: CacheCall, *, is_joinable: bool) -> CacheFlight:
        """Return a flight for the call that is still to be started."""
        return self.flights.new(call.key, call.policy.tags_of(call.key), is_joinable=is_joinable)

    def _join(self, call: CacheCall, flight: CacheFlight, *, is_mine: bool) -> Awaitable[Answer]:
        """Join the flight now; what it returns waits for this caller's answer."""
        inherit(flight.trail)
        return self._wait(call, flight, flight.wait(), is_mine=is_mine)

    async def _wait(
        self, call: CacheCall, flight: CacheFlight, boarded: Awaitable[Answer], *, is_mine: bool
    ) -> Answer:
        if is_mine:
            return self._arrive(call, flight, await boarded, is_mine=True)
        said = {"use": call.policy.use, "result": "collapsed"}
        if call.here is not None:
            call.here.set(**said)
            return self._arrive(call, flight, await boarded, is_mine=False)
        with OpenSpan("cache", call.policy.use, said):
            return self._arrive(call, flight, await boarded, is_mine=False)

    def _arrive(
        self, call: CacheCall, flight: CacheFlight, answer: Answer, *, is_mine: bool
    ) -> Answer:
        """Make a flight's answer this caller's own."""
        if not is_mine:
            self.stats.of(call.policy.use, "").collapsed += 1
            value = copy_of(answer.value, call.policy.returns)
            answer = msgspec.structs.replace(answer, value=value, is_collapsed=True)
            for reason in flight.trail.taints:
                degrade(call.policy.use, reason)
        trail = current_trail()
        if trail is not None:
            trail.add(flight.trail)
            trail.cost_usd += flight.trail.cost_usd
        return _heard(answer)

    def _count(self, call: CacheCall, answer: Answer) -> None:
        counters, decision = self.stats.of(call.policy.use, answer.tier), answer.decision
        if isinstance(decision, Stale):
            counters.stale += 1
        if answer.entry is not None and not isinstance(decision, Miss):
            origin = answer.entry.provenance
            counters.hit(decision.age_s, origin.compute_s, origin.cost_usd)

    def draw(self) -> float:
        """Draw from 0 to 1, for early refreshes; in virtual time from the loop's seed."""
        loop = asyncio.get_running_loop()
        source = loop.random if isinstance(loop, VirtualLoop) else self._random
        return source.random()


def _heard(answer: Answer) -> Answer:
    """Note on the trail of the computation around, if there is one, what it was given."""
    if answer.entry is not None:
        use_entry(answer.entry)
    return answer
