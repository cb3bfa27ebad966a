"""Looking for an entry in the tiers beyond memory.

Owns one call's way through the tiers: read, check, decide, and remember why not.
Leaves computing to ``fill`` and the tiers' failures to ``tiers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hasten import codec
from hasten.cache.decide import Decision, Fresh, Miss, decide
from hasten.cache.entry import CacheEntry, unseal_for
from hasten.cache.flight import Answer
from hasten.clock import current_clock
from hasten.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.cache.flight import CacheFlight
    from hasten.cache.key import Key
    from hasten.cache.policy import CachePolicy, Directives
    from hasten.cache.tiers import CacheTier
    from hasten.cache.way import CacheWay
    from hasten.trace.recorder import OpenSpan


@dataclass(slots=True)
class CacheCall:
    """One call of the cache: what is asked for, how to compute it, under which rules.

    ``here`` is the caller's own span for it, if there is one. ``is_given``: the value is
    there already and only to be stored, so it is neither looked for nor missed.
    """

    key: Key
    compute: Callable[[CacheFlight], Awaitable[Any]]
    policy: CachePolicy
    directives: Directives
    here: OpenSpan | None = None
    is_given: bool = False


class CacheLook:
    """One call's look through the tiers; ``reason`` says why it has found nothing so far.

    ``spare`` is an answer that will not do, but may stand in for an error.
    ``behind`` are the tiers that lack what was found. ``is_renewal``: an older value
    is being served meanwhile, so only a fresh one counts.
    """

    def __init__(self, cache: CacheWay, call: CacheCall, *, is_renewal: bool = False) -> None:
        self.tiers = cache.tiers_of(call.policy)
        self.reason = "nothing is stored under this key"
        self.spare: Answer | None = None
        self.behind: list[CacheTier] = []
        self._cache = cache
        self._call = call
        self._is_renewal = is_renewal

    async def find(self) -> Answer | None:
        """Return what the nearest tier that may answer has, without counting or keeping it."""
        if self._call.directives.no_cache:
            self.reason = "no-cache: the request wants a new answer"
            return None
        if self._cache.ledger.view.is_due:
            await self._cache.ledger.sync()
        for place, tier in enumerate(self.tiers):
            entry = await self._entry_in(tier)
            answer = self._read(entry, tier.name) if entry is not None else None
            if entry is None or answer is None:
                continue
            if isinstance(answer.decision, Miss):
                self.reason = answer.decision.reason
                self.spare = self.spare or answer
                continue
            self.behind = self.tiers[:place]
            return answer
        return None

    async def _entry_in(self, tier: CacheTier) -> CacheEntry | None:
        """Return the tier's living entry; one that cannot be read is counted and passed over."""
        data = await tier.get(self._call.key.digest)
        if data is None:
            return None
        try:
            entry = unseal_for(self._call.key, data)
        except CodecError as error:
            self._count_unreadable(tier.name, error)
            return None
        if await self._cache.ledger.is_alive(entry, tier):
            return entry
        self.reason = "invalidated"
        return None

    def _decide(self, entry: CacheEntry) -> Decision:
        now_s, policy = current_clock().now(), self._call.policy
        draw = 1.0 if self._is_renewal else self._cache.draw()
        decision = decide(entry, now_s, self._call.directives, policy, draw)
        if self._is_renewal and not isinstance(decision, Fresh):
            return Miss("it is being renewed")
        return decision

    def _read(self, entry: CacheEntry, tier: str) -> Answer | None:
        """Return the answer in ``entry``, or ``None`` if its value cannot be read."""
        decision = self._decide(entry)
        if entry.kind == "error":
            return Answer(None, decision, tier, entry)
        try:
            value = codec.decode(entry.body, self._call.policy.returns)
        except CodecError as error:
            self._count_unreadable(tier, error)
            return None
        return Answer(value, decision, tier, entry)

    def _count_unreadable(self, tier: str, error: CodecError) -> None:
        self.reason = f"unreadable in {tier}: {error}"
        self._cache.stats.of(self._call.policy.use, tier).errors += 1
