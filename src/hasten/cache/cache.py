"""The cache: does not compute twice what may be reused.

Owns what callers ask of it: a value, a stream, many values, and dropping and
explaining them. Leaves the way of a call to ``way``, dropping to ``invalidate``, and
how a use behaves to its ``CachePolicy``. Steps, tools, model wrappers, the gateway
and applications call it.

A hit in memory takes no lock and waits for nothing.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hasten.cache.browse import explain
from hasten.cache.cached import current_maker
from hasten.cache.fill import CacheBatch
from hasten.cache.flight import Answer, CacheFlight
from hasten.cache.invalidate import CacheSelector, Invalidation, audit, erase, invalidate
from hasten.cache.look import CacheCall
from hasten.cache.policy import PLAIN, CachePolicy, Directives
from hasten.cache.reading import CacheReading
from hasten.cache.request import answer_in_request, current_session
from hasten.cache.trail import add_cost, inherit, use_entry
from hasten.cache.way import CacheWay
from hasten.caller import current_caller
from hasten.clock import current_clock
from hasten.trace.recorder import OpenSpan, current_recorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from hasten.cache.explain import Explanation
    from hasten.cache.key import Key
    from hasten.cache.trail import CacheTrail

T = TypeVar("T")
P = TypeVar("P")


class Cache(CacheWay):
    """Memory and, beyond it, ``tiers`` from the nearest to the farthest.

    The last tier is home: it keeps an entry for as long as its policy says. ``kept``,
    one of the tiers or a store besides, is home to the entries whose policy says
    ``is_kept``, which no store drops for size; by default the last. ``ledger`` is the
    store that counts generations: by default the first of those with the widest reach.
    Use it with ``async with``: entered it hears of invalidations elsewhere at once,
    left it has closed its stores.
    """

    def key(self, policy: CachePolicy, **fields: Any) -> Key:
        """Return the key of ``fields`` for the caller and the session this task works for."""
        session, made_by = current_session(), current_maker()
        return policy.key(fields, current_caller(), session=session, made_by=made_by)

    async def get_or_compute(
        self,
        key: Key,
        compute: Callable[[], Awaitable[T]],
        policy: CachePolicy,
        *,
        directives: Directives = PLAIN,
    ) -> T:
        """Return the value under ``key``, computed if no stored one may answer.

        Raises what ``compute`` raises, ``NotCached`` for ``only_if_cached``, and
        ``StoredFailure`` while the policy keeps an error.
        """
        if directives is PLAIN and current_recorder() is None:
            held = self.plain_hit(key.digest)
            if held is not None:
                use_entry(held.entry)
                found: T = held.read(policy.returns)
                return found
        value: T = (await self.answer(key, compute, policy, directives=directives)).value
        return value

    async def answer(
        self,
        key: Key,
        compute: Callable[[], Awaitable[Any]],
        policy: CachePolicy,
        *,
        directives: Directives = PLAIN,
        here: OpenSpan | None = None,
    ) -> Answer:
        """Return the value with the decision that gave it; raises as ``get_or_compute`` does.

        ``here`` is the span that stands for this call, if its caller has opened one;
        a hit is then recorded on it.
        """
        if policy.scope == "request":
            counters = self.stats.of(policy.use, "request")
            return await answer_in_request(key.digest, compute, counters)
        return await self._answer(CacheCall(key, lambda _: compute(), policy, directives, here))

    async def _answer(self, call: CacheCall) -> Answer:
        found = await self._find(call)
        if isinstance(found, Answer):
            return found
        flight, is_mine = found
        return await self._join(call, flight, is_mine=is_mine)

    async def stream(
        self,
        key: Key,
        open_stream: Callable[[], AsyncGenerator[P, None]],
        policy: CachePolicy,
        *,
        whole: Callable[[Sequence[P]], Any],
        replay: Callable[[Any], Iterable[P]],
        directives: Directives = PLAIN,
    ) -> AsyncGenerator[P, None]:
        """Yield the pieces of a stream: stored, another caller's from its start, or anew.

        ``whole`` makes the value to store of all pieces, once the stream has ended,
        and raises if they are no whole answer; ``replay`` makes pieces of a stored
        value. Raises as ``get_or_compute`` does.
        """
        found = await self.open_stream(key, open_stream, policy, whole, directives=directives)
        if isinstance(found, CacheReading):
            async with aclosing(found.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
            if found.has_pieces or found.answer is None:
                return
            found = found.answer
        for piece in replay(found.value):
            yield piece

    async def open_stream(
        self,
        key: Key,
        open_stream: Callable[[], AsyncGenerator[P, None]],
        policy: CachePolicy,
        whole: Callable[[Sequence[P]], Any],
        *,
        directives: Directives = PLAIN,
    ) -> Answer | CacheReading:
        """Return the stored answer, or a reading of the stream that computes it, as ``stream``."""

        async def pump(flight: CacheFlight) -> Any:
            async with aclosing(open_stream()) as pieces:
                async for piece in pieces:
                    flight.add_piece(piece)
            return whole(flight.pieces)

        call = CacheCall(key, pump, policy, directives)
        found = await self._find(call)
        if isinstance(found, Answer):
            return found
        flight, is_mine = found
        inherit(flight.trail)
        arrive = partial(self._arrive, call, flight, is_mine=is_mine)
        return CacheReading(flight, arrive, is_mine=is_mine)

    async def get_many(
        self,
        keys: Sequence[Key],
        compute_missing: Callable[[list[Key]], Awaitable[Sequence[T]]],
        policy: CachePolicy,
    ) -> list[T]:
        """Return the values under ``keys``, in order; what is missing is computed in one call.

        ``compute_missing`` gets each missing key once and returns their values in
        order. Raises what it raises.
        """
        batch = CacheBatch(self, compute_missing)
        found: dict[bytes, Answer] = {}
        waits: dict[bytes, Awaitable[Answer]] = {}
        if self.ledger.view.is_due:
            await self.ledger.sync()
        for digest, key in {key.digest: key for key in keys}.items():
            call = batch.call(key, policy)
            answer = self._from_memory(call)
            if answer is not None:
                found[digest] = self._given(call, answer)
            elif flight := self.flights.joinable(digest):
                waits[digest] = self._join(call, flight, is_mine=False)
            else:
                waits[digest] = self._join(call, batch.add(call), is_mine=True)
        if batch.fills:
            self.flights.start(batch.run(), [fill.flight for fill in batch.fills])
        found.update(zip(waits, await asyncio.gather(*waits.values()), strict=True))
        return [found[key.digest].value for key in keys]

    async def put(
        self,
        key: Key,
        value: object,
        policy: CachePolicy,
        *,
        made_of: Sequence[CacheTrail] = (),
        cost_usd: float = 0.0,
        took_s: float = 0.0,
    ) -> Answer:
        """Store ``value`` as if it had just been computed; ``stored`` says whether it was.

        It falls with what it was ``made_of``, and a hit saves what it cost and took.
        """

        async def given(_flight: CacheFlight) -> object:
            for trail in made_of:
                inherit(trail)
            add_cost(cost_usd, took_s=took_s)
            return value

        asked = Directives(no_cache=True)
        return await self._answer(CacheCall(key, given, policy, asked, is_given=True))

    async def invalidate(
        self,
        what: CacheSelector | str,
        *,
        tenants: Sequence[str] | None = None,
        is_dry_run: bool = False,
        is_listed: bool = False,
        why: str = "",
    ) -> Invalidation:
        """Drop what ``what`` selects, such as ``"tag=market:AI"``, and what was built from it.

        Within ``tenants``, by default the caller's own and what is public (``""``).
        A dry run lists what would go, ``is_listed`` what went, which takes a look at
        every entry. ``why`` goes to the audit trail. Raises ``InvalidInput`` for what
        is no selector, ``StoreUnavailable`` when other processes cannot be told.
        """
        selector = CacheSelector.parse(what) if isinstance(what, str) else what
        within = (current_caller().tenant, "") if tenants is None else tenants
        return await invalidate(
            self, selector, within, is_dry_run=is_dry_run, is_listed=is_listed, why=why
        )

    async def erase(self, tenant: str, user: str) -> int:
        """Delete everything of one person, everywhere; return how many copies.

        Raises ``StoreUnavailable`` if a tier could not be asked: then do it again.
        """
        return await erase(self, tenant, user)

    async def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest invalidations: what, within which tenants, by whom, when."""
        return await audit(self, limit)

    async def clean(self, *, older_than_s: float) -> int:
        """Delete what was computed longer ago than that, kept or not; return how many copies."""
        before_s = current_clock().now() - older_than_s
        old = [held for held in self.memory.entries() if held.entry.created_s < before_s]
        for held in old:
            self.memory.drop_held(held)
        counts = [await tier.delete_created(before_s) for tier in self.all_tiers()]
        return len(old) + sum(counts)

    async def flush(self) -> int:
        """Delete everything, and let no process serve what it has; return how many copies."""
        await self.ledger.restart()
        return await self.clean(older_than_s=-math.inf)

    async def explain(
        self, key: Key, policy: CachePolicy, *, directives: Directives = PLAIN
    ) -> Explanation:
        """Say what a call would get now and why, and which stored keys come near."""
        return await explain(self, key, policy, directives)
