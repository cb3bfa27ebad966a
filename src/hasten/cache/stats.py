"""What the cache did: plain counters per use and tier, read when somebody asks.

Owns counting; leaves showing to ``serve``, ``cli`` and the log.
"""

from __future__ import annotations

import msgspec

AGE_BUCKETS = 26
"""Ages at hit are counted by powers of two: bucket *n* is below 2**n seconds; 25 is a year."""


class CacheCounters:
    """The counters of one use in one tier; hits add to them without further ado."""

    __slots__ = (
        "ages",
        "collapsed",
        "errors",
        "hits",
        "misses",
        "saved_s",
        "saved_usd",
        "stale",
        "stored",
    )

    def __init__(self) -> None:
        self.hits = self.stale = self.misses = self.collapsed = self.errors = self.stored = 0
        self.saved_s = self.saved_usd = 0.0
        self.ages = [0] * AGE_BUCKETS

    def hit(self, age_s: float, compute_s: float, cost_usd: float) -> None:
        """Count a hit, and what it saved."""
        self.hits += 1
        self.saved_s += compute_s
        self.saved_usd += cost_usd
        self.ages[min(int(age_s).bit_length(), AGE_BUCKETS - 1)] += 1


class UseStats(msgspec.Struct, frozen=True):
    """A snapshot of one use in one tier. A miss belongs to no tier: its ``tier`` is empty.

    ``ages`` counts hits by age: the entry at *n* those younger than 2**n seconds
    and not younger than half of it.
    """

    use: str
    tier: str
    hits: int
    stale: int
    misses: int
    collapsed: int
    errors: int
    stored: int
    saved_s: float
    saved_usd: float
    ages: tuple[int, ...]


class CacheStats:
    """All counters of a cache."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], CacheCounters] = {}

    def of(self, use: str, tier: str) -> CacheCounters:
        """Return the counters of ``use`` in ``tier``; these, and no copy."""
        found = self._counters.get((use, tier))
        if found is None:
            found = self._counters[use, tier] = CacheCounters()
        return found

    def rows(self) -> list[UseStats]:
        """Return a snapshot, sorted by use and tier."""
        return [
            UseStats(
                use=use,
                tier=tier,
                hits=one.hits,
                stale=one.stale,
                misses=one.misses,
                collapsed=one.collapsed,
                errors=one.errors,
                stored=one.stored,
                saved_s=one.saved_s,
                saved_usd=one.saved_usd,
                ages=tuple(one.ages),
            )
            for (use, tier), one in sorted(self._counters.items())
        ]
