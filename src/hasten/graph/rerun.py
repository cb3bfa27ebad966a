"""An exact rerun: the whole answer to the same inputs, found instead of computed.

Owns the key of a whole answer, what is kept of it, and that the same run is under
way once. Leaves keeping it to ``cache`` and giving it out to ``run``. The
discovery plan (phase 4) has the reason: people ask the same again, and the answer
to all the same inputs of the same person stays right until they change.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.cache.memory import copy_of
from hasten.cache.policy import PLAIN, CachePolicy, Directives
from hasten.cache.trail import use_entry
from hasten.clock import current_clock
from hasten.errors import NotCached
from hasten.trace.recorder import OpenSpan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from hasten.cache.cache import Cache
    from hasten.cache.flight import CacheFlight
    from hasten.cache.key import Key
    from hasten.cache.trail import CacheTrail
    from hasten.graph.outcome import RunOptions
    from hasten.trace.event import RunRecord

RERUN = CachePolicy(
    use="rerun", ttl_s=None, scope="user", jitter=0.0, is_refreshed_early=False, is_kept=True
)
"""Reruns are one person's, never expire and are never dropped for size; ``clean`` removes them."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """A whole answer: its outputs in plain form, the run that made it, when, how fresh it was.

    ``is_collapsed``: it was under way when it was asked for again.
    """

    outputs: dict[str, Any]
    run_id: str
    at_s: float
    reuse: dict[str, Any]
    is_collapsed: bool = False

    @property
    def reuse_of_again(self) -> dict[str, Any]:
        """What a run says of its reuse that gives this answer again."""
        again = {"cached": True, "cached_at_s": self.at_s, "source_run_id": self.run_id}
        return {**self.reuse, **again, **({"collapsed": True} if self.is_collapsed else {})}


class Rerun:
    """The place of one run's whole answer in the cache.

    A run that finds nothing there lets the same runs of this process wait for it. One
    that waited in vain computes by itself, at once: it has waited long enough. So does
    one with directives, as any request with directives does.
    """

    def __init__(self, cache: Cache, policy: CachePolicy, key: Key, directives: Directives) -> None:
        self._cache = cache
        self._policy = policy
        self._key = key
        self._directives = directives
        self._flight: CacheFlight | None = None

    @classmethod
    def of(cls, record: RunRecord, options: RunOptions) -> Rerun | None:
        """Return where the whole answer of ``record`` is kept, if it may be reused at all.

        A run that has told of outputs before its process died goes on from its own steps: the
        stored answer, which may be another run's or its own, would tell of them again.
        """
        if options.cache is None or options.rerun is None:
            return None
        what = {"app": record.app, "graph": record.graph, "inputs": record.inputs}
        key = options.cache.key(options.rerun, **what)
        asked = options.directives
        if options.anew or (options.attempt is not None and options.attempt.has_told):
            asked = replace(asked, no_cache=True)
        return cls(options.cache, options.rerun, key, asked)

    async def find(self, over: asyncio.Future[Any]) -> StoredAnswer | None:
        """Return the answer that is stored or that the same run under way gives.

        Stops waiting for that one when ``over`` is done. Raises ``NotCached`` when the
        request wants a stored answer and nothing else.
        """
        found, reason = await self._stored()
        flights, is_plain = self._cache.flights, self._directives == PLAIN
        under_way = flights.joinable(self._key.digest) if found is None and is_plain else None
        if under_way is not None:
            found = await self._joined(under_way, over)
        elif found is None:
            self._say_missed(reason)
        if found is None:
            is_first = is_plain and flights.joinable(self._key.digest) is None
            tags = self._policy.tags_of(self._key)
            self._flight = flights.new(self._key, tags, is_joinable=is_first)
            self._cache.stats.of(self._policy.use, "").misses += 1
        return found

    async def _stored(self) -> tuple[StoredAnswer | None, str]:
        if self._directives.no_cache:
            return None, "no-cache: the request wants a new answer"
        asked = replace(self._directives, only_if_cached=True)
        try:
            answer = await self._cache.answer(self._key, _never, self._policy, directives=asked)
        except NotCached as error:
            if self._directives.only_if_cached:
                raise
            return None, error.reason
        return msgspec.convert(answer.value, StoredAnswer), ""

    async def _joined(self, flight: CacheFlight, over: asyncio.Future[Any]) -> StoredAnswer | None:
        use = self._policy.use
        with OpenSpan("cache", use, {"use": use}) as here:
            await asyncio.wait((flight.answer, over), return_when=asyncio.FIRST_COMPLETED)
            if not flight.answer.done() or flight.answer.cancelled():
                here.set(result="miss", reason="the same run gave no answer")
                return None
            here.set(result="collapsed")
        self._cache.stats.of(use, "").collapsed += 1
        answer = flight.answer.result()
        if answer.entry is not None:
            use_entry(answer.entry)
        found: StoredAnswer = copy_of(answer.value, StoredAnswer)
        return msgspec.structs.replace(found, is_collapsed=True)

    def _say_missed(self, reason: str) -> None:
        use = self._policy.use
        with OpenSpan("cache", use, {"use": use, "result": "miss", "reason": reason}):
            pass

    async def keep(self, record: RunRecord, took_s: float, trails: Iterable[CacheTrail]) -> None:
        """Store what ``record`` came to in ``took_s``, and give it to those who wait for it.

        It falls with what its steps were made from, and is not stored when it was
        invalidated while it was computed.
        """
        flight = self._flight
        if flight is None or self._directives.no_store:
            return
        whole = StoredAnswer(record.outputs, record.run_id, current_clock().now(), record.reuse)
        answer = await self._cache.put(
            self._key,
            whole,
            self._policy,
            made_of=(flight.trail, *trails),
            cost_usd=record.cost_usd,
            took_s=took_s,
        )
        if answer.entry is not None:
            self._cache.flights.land(flight)
            flight.settle(answer)

    def release(self) -> None:
        """Let those who still wait compute by themselves: this run has no answer for them."""
        if self._flight is not None:
            self._cache.flights.land(self._flight)
            self._flight.fail(asyncio.CancelledError())


async def _never() -> NoReturn:
    message = "only-if-cached computes nothing"
    raise AssertionError(message)
