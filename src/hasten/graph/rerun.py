"""An exact rerun: the whole answer to the same inputs, found instead of computed.

Owns the key of a whole answer and what is kept of it. Leaves keeping it to
``cache`` and giving it out to ``run``. The discovery plan (phase 4) has the
reason: people ask the same again, and the answer to all the same inputs of the
same person stays right until they change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.cache.policy import CachePolicy, Directives
from hasten.cache.trail import add_cost, inherit
from hasten.clock import current_clock
from hasten.errors import NotCached

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from hasten.cache.cache import Cache
    from hasten.cache.key import Key
    from hasten.cache.trail import CacheTrail
    from hasten.graph.outcome import RunOptions
    from hasten.trace.event import RunRecord

RERUN = CachePolicy(
    use="rerun", ttl_s=None, scope="user", jitter=0.0, is_refreshed_early=False, is_kept=True
)
"""Reruns are one person's, never expire and are never dropped for size; ``clean`` removes them."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """A whole answer: its outputs in plain form, the run that made it, when, how fresh it was."""

    outputs: dict[str, Any]
    run_id: str
    at_s: float
    reuse: dict[str, Any]

    @property
    def reuse_of_again(self) -> dict[str, Any]:
        """What a run says of its reuse that gives this answer again."""
        again = {"cached": True, "cached_at_s": self.at_s, "source_run_id": self.run_id}
        return {**self.reuse, **again}


@dataclass(frozen=True, slots=True)
class Rerun:
    """The place of one run's whole answer in the cache."""

    cache: Cache
    policy: CachePolicy
    key: Key
    directives: Directives

    @classmethod
    def of(cls, record: RunRecord, options: RunOptions) -> Rerun | None:
        """Return where the whole answer of ``record`` is kept, if it may be reused at all."""
        if options.cache is None or options.rerun is None:
            return None
        what = {"app": record.app, "graph": record.graph, "inputs": record.inputs}
        key = options.cache.key(options.rerun, **what)
        asked = replace(options.directives, no_cache=True) if options.anew else options.directives
        return cls(options.cache, options.rerun, key, asked)

    async def find(self) -> StoredAnswer | None:
        """Return the stored answer, unless there is none or the request wants a new one.

        Raises ``NotCached`` when the request wants a stored one and nothing else.
        """
        if self.directives.no_cache:
            return None
        asked = replace(self.directives, only_if_cached=True)
        try:
            answer = await self.cache.answer(self.key, _never, self.policy, directives=asked)
        except NotCached:
            if self.directives.only_if_cached:
                raise
            return None
        return msgspec.convert(answer.value, StoredAnswer)

    async def keep(self, record: RunRecord, trails: Iterable[CacheTrail]) -> None:
        """Store what ``record`` came to; it falls with what its steps were made from."""

        async def given() -> StoredAnswer:
            for trail in trails:
                inherit(trail)
            now_s = current_clock().now()
            add_cost(record.cost_usd, took_s=now_s - record.started_s)
            return StoredAnswer(record.outputs, record.run_id, now_s, record.reuse)

        if not self.directives.no_store:
            asked = replace(self.directives, no_cache=True, only_if_cached=False)
            await self.cache.answer(self.key, given, self.policy, directives=asked)


async def _never() -> NoReturn:
    message = "only-if-cached computes nothing"
    raise AssertionError(message)
