"""Getting a value that memory does not have: from another tier, another process, or anew.

Owns the way of one flight: look in the tiers, take the lease so that one process
computes, compute, decide what may be stored, settle everybody, then write to the
tiers. Nobody who is served waits for a write. ``cache`` starts a fill for each
flight.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from hasten import codec
from hasten.cache.decide import Keep, Miss, Skip, admit, admit_error, life_of, stand_in
from hasten.cache.entry import CacheEntry, Provenance
from hasten.cache.flight import Answer, said_of
from hasten.cache.key import mark
from hasten.cache.look import CacheCall, CacheLook
from hasten.cache.policy import PLAIN
from hasten.cache.trail import CacheTrail, leave_trail
from hasten.cache.writing import CacheWrite, may_wait
from hasten.clock import current_clock
from hasten.errors import CodecError, StoredFailure
from hasten.trace.recorder import OpenSpan, current_recorder, degrade, describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hasten.cache.flight import CacheFlight
    from hasten.cache.key import Key
    from hasten.cache.policy import CachePolicy
    from hasten.cache.way import CacheWay

_log = logging.getLogger(__name__)

LEASE_S = 10.0
"""A process that computes renews its lease within this time, or another may compute."""

POLL_S = 0.025
"""How often a process that waits for another looks whether the value is there."""


class CacheFill:
    """One flight's way to its answer."""

    def __init__(
        self, cache: CacheWay, call: CacheCall, flight: CacheFlight, look: CacheLook
    ) -> None:
        self.call = call
        self.flight = flight
        self._cache = cache
        self._look = look
        self._clock = current_clock()
        self._lease: asyncio.Task[None] | None = None
        self._entry: CacheEntry | None = None

    async def run(self) -> None:
        """Go the way; the flight is settled in any case, and the tiers written afterwards."""
        try:
            with (
                leave_trail(self.flight.trail),
                OpenSpan("cache", self.call.policy.use, {}) as here,
            ):
                answer = await self._find_under_lease() or await self._compute(here)
                said = said_of(self.call, answer)
                if self.call.here is not None:
                    self.call.here.set(**said)
                    said.pop("cache_hit", None)
                here.set(**said)
            self.settle(answer)
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            await self.write()
            await self._drop_lease()

    async def find(self) -> Answer | None:
        """Return what a tier has, if it may answer. Raises ``StoredFailure`` for a stored error."""
        found = await self._look.find()
        if found is not None:
            self._cache.keep_found(self.call, found, self._look.behind)
        return found

    def settle(self, answer: Answer) -> None:
        """Give the answer to everybody who waits."""
        self._cache.flights.land(self.flight)
        self.flight.settle(answer)

    def fail(self, error: BaseException) -> None:
        """Give the error to everybody who waits."""
        self._cache.flights.land(self.flight)
        self.flight.fail(error)

    async def write(self) -> None:
        """Write what was computed to the tiers, before another process may compute it."""
        entry, tiers, writing = self._entry, self._look.tiers, self._cache.writing
        if entry is None or not tiers:
            return
        write = CacheWrite(entry, self.flight.trail)
        if self._lease is None and may_wait(entry, tiers):
            writing.add(write, tiers)
        else:
            await writing.write([write], tiers)

    async def _find_under_lease(self) -> Answer | None:
        """Wait until this process may compute, or for the value if another computes it.

        Once the lease is ours the value may have been stored in between: look again.
        """
        ledger, wait_s = self._cache.ledger, self.call.policy.wait_s
        has_others = ledger.is_shared and not self.call.policy.is_local
        if not has_others or wait_s <= 0 or self.call.directives.no_cache:
            return None
        give_up_s = self._clock.monotonic() + wait_s
        while self._clock.monotonic() < give_up_s:
            if await ledger.take_lease(self.call.key.digest, LEASE_S):
                self._lease = asyncio.create_task(self._renew_lease(), name="renew lease")
                return await self.find()
            await self._clock.sleep(POLL_S)
            if found := await self.find():
                return found
        return None

    async def _renew_lease(self) -> None:
        while True:
            await self._clock.sleep(LEASE_S / 3)
            await self._cache.ledger.take_lease(self.call.key.digest, LEASE_S)

    async def _drop_lease(self) -> None:
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None  # its traceback has this fill
            await self._cache.ledger.drop_lease(self.call.key.digest)

    async def _compute(self, here: OpenSpan) -> Answer:
        if not self.call.is_given:
            self._cache.stats.of(self.call.policy.use, "").misses += 1
        self.flight.trail.begin(self._cache.ledger.view.epoch)
        began_s = self._clock.monotonic()
        try:
            value = await self.call.compute(self.flight)
        except Exception as error:  # noqa: BLE001 - it is raised again unless something stands in
            return self.stand_in(error)
        if here.is_degraded:
            self.flight.trail.taints.append("a step inside it fell back")
        took_s = self._clock.monotonic() - began_s
        if self._cache.ledger.view.is_due:
            await self._cache.ledger.sync()
        return self.keep(value, took_s)

    def stand_in(self, error: Exception) -> Answer:
        """Answer with a stale value in place of ``error``, or raise it, stored if it may be."""
        self._cache.stats.of(self.call.policy.use, "").errors += 1
        spare = self._look.spare or self._cache.spare(self.call)
        if spare is not None and spare.entry is not None and not self.flight.pieces:
            decision = stand_in(spare.entry, self._clock.now(), self.call.directives)
            if decision is not None:
                reason = f"in place of an error: {describe(error)['message']}"
                self.flight.trail.taints.append("stale in place of an error")
                degrade(self.call.policy.use, f"stale in place of {describe(error)['code']}")
                return msgspec.structs.replace(spare, decision=decision, stored=reason)
        self._store(admit_error(self.call.policy, self.call.directives), describe(error), 0.0)
        raise error

    def keep(self, value: object, took_s: float) -> Answer:
        """Answer with what was computed, stored if it may be."""
        taints = tuple(self.flight.trail.taints)
        keep = admit(self.call.policy, self.call.directives, value, taints=taints)
        skip = self._store(keep, value, took_s)
        return Answer(value, Miss(self._look.reason), entry=self._entry, stored=skip or "stored")

    def _store(self, keep: Keep | Skip, value: object, took_s: float) -> str:
        """Hold the value in memory and note it for the tiers; return what forbids it, if so."""
        key, trail, policy = self.call.key, self.flight.trail, self.call.policy
        leak = trail.leak_into(key)
        trail.owners.add((key.tenant, key.user, key.session))
        if isinstance(keep, Skip):
            return keep.reason
        if leak:
            return leak
        try:
            body = codec.encode(value)
        except CodecError as error:
            _log.warning("use %s is not cached: %s", policy.use, error)
            return str(error)
        if len(body) > policy.max_bytes:
            return f"too large: {len(body)} bytes, the policy stores {policy.max_bytes}"
        entry = new_entry(self.call, keep, trail, took_s, body)
        if not self._cache.is_alive(entry, trail):
            return "invalidated while it was computed"
        self._cache.memory.hold(entry, value)
        self._entry = entry
        return ""


class CacheBatch:
    """Many flights that are computed in one call; stopped when nobody waits for any of them."""

    def __init__(
        self, cache: CacheWay, compute_missing: Callable[[list[Key]], Awaitable[Sequence[Any]]]
    ) -> None:
        self.fills: list[CacheFill] = []
        self._cache = cache
        self._compute_missing = compute_missing
        self._trail = CacheTrail(0)

    def call(self, key: Key, policy: CachePolicy) -> CacheCall:
        """Return the call for one key of the batch; renewed later, it is computed by itself."""

        async def compute(_flight: CacheFlight) -> Any:
            return (await self._compute_missing([key]))[0]

        return CacheCall(key, compute, policy, PLAIN)

    def add(self, call: CacheCall) -> CacheFlight:
        """Add a call that memory cannot answer; return its flight."""
        flight = self._cache.new_flight(call, is_joinable=True)
        self.fills.append(CacheFill(self._cache, call, flight, CacheLook(self._cache, call)))
        return flight

    async def run(self) -> None:
        """Look for all in the tiers at once, then compute what is missing in one call."""
        use = self.fills[0].call.policy.use
        try:
            with leave_trail(self._trail), OpenSpan("cache", use, {}) as here:
                missing = await self._find()
                here.set(use=use, result="miss" if missing else "hit", missing=len(missing))
                if missing:
                    await self._compute(missing, here)
        except BaseException as error:
            for fill in self.fills:
                fill.fail(error)
            if not isinstance(error, Exception):
                raise
        await asyncio.gather(*(fill.write() for fill in self.fills))

    async def _find(self) -> list[CacheFill]:
        """Settle what the tiers have; the stores merge the reads. Return the rest."""
        missing = []
        looks = (fill.find() for fill in self.fills)
        for fill, found in zip(
            self.fills, await asyncio.gather(*looks, return_exceptions=True), strict=True
        ):
            if found is None:
                missing.append(fill)
            elif isinstance(found, BaseException):
                fill.fail(found)
            else:
                fill.settle(found)
        return missing

    async def _compute(self, missing: list[CacheFill], here: OpenSpan) -> None:
        clock = current_clock()
        self._trail.begin(self._cache.ledger.view.epoch)
        self._cache.stats.of(missing[0].call.policy.use, "").misses += len(missing)
        began_s = clock.monotonic()
        values = await self._compute_missing([fill.call.key for fill in missing])
        if here.is_degraded:
            self._trail.taints.append("a step inside it fell back")
        took_s = (clock.monotonic() - began_s) / len(missing)
        if self._cache.ledger.view.is_due:
            await self._cache.ledger.sync()
        for fill, value in zip(missing, values, strict=True):
            fill.flight.trail.begin(self._trail.generation)
            fill.flight.trail.add(self._trail)
            fill.settle(fill.keep(value, took_s))


def new_entry(
    call: CacheCall, keep: Keep, trail: CacheTrail, took_s: float, body: bytes
) -> CacheEntry:
    """Return the entry of a value that was computed just now."""
    key, policy, now_s = call.key, call.policy, current_clock().now()
    life = life_of(keep, policy, key, now_s)
    own, parts = policy.tags_of(key), key.parts()
    tags = tuple(dict.fromkeys((*own, *trail.tags)))
    learnt = [mark("tag", key.tenant, tag) for tag in trail.tags if tag not in own]
    marks = dict.fromkeys(learnt, trail.generation) | trail.marks  # which has the key's own
    recorder = current_recorder()
    return CacheEntry(
        digest=key.digest,
        use=key.use,
        version=key.version,
        scope=key.scope,
        tenant=key.tenant,
        user=key.user,
        session=key.session,
        label=key.label_of(parts),
        kind=keep.kind,
        created_s=now_s,
        fresh_until_s=life.fresh_until_s,
        revalidate_until_s=life.revalidate_until_s,
        error_until_s=life.error_until_s,
        generation=trail.generation,
        is_kept=policy.is_kept,
        marks=marks,
        tags=tags,
        parts=parts,
        provenance=Provenance(
            run_id=recorder.run.run_id if recorder is not None else "",
            compute_s=took_s + trail.took_s,
            cost_usd=trail.cost_usd,
            built_from=tuple(trail.built_from),
        ),
        body=body,
    )


def stored_failure(entry: CacheEntry) -> StoredFailure:
    """Return the error that ``entry`` keeps."""
    found = codec.decode(entry.body)
    message = f"{entry.label} failed a short while ago: {found['message']}"
    return StoredFailure(message, original=found["code"])
