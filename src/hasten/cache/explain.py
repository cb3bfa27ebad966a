"""Why a call hit or missed, in words, and which stored keys come near.

Owns comparing keys part by part. Leaves finding candidates to ``cache``, and
showing what comes of it to ``cli`` and ``serve``. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hasten.cache.decide import Decision, Fresh, Stale

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hasten.cache.entry import CacheEntry
    from hasten.cache.key import Key

MOST_NEAR = 3


class Difference(msgspec.Struct, frozen=True):
    """One part in which a stored key differs; an absent part is shown as ``-``."""

    part: str
    asked: str
    stored: str


class NearMiss(msgspec.Struct, frozen=True):
    """A stored entry of the same use and tenant whose key almost matched."""

    label: str
    age_s: float
    differences: tuple[Difference, ...]


class Explanation(msgspec.Struct, frozen=True):
    """What one key would get now: the decision, the tier that decides, and what comes near."""

    label: str
    digest: str
    tier: str
    decision: Decision
    near: tuple[NearMiss, ...] = ()

    @property
    def reason(self) -> str:
        """The deciding reason, in words."""
        if isinstance(self.decision, Fresh):
            return f"hit in {self.tier}: {self.decision.age_s:.0f} s old"
        if isinstance(self.decision, Stale):
            return f"stale in {self.tier}: {self.decision.reason}"
        return f"miss: {self.decision.reason}"


def nearest(key: Key, entries: Iterable[CacheEntry], now_s: float) -> tuple[NearMiss, ...]:
    """Return the entries whose keys differ least from ``key``, nearest first, newest first.

    Entries of another use or tenant are never compared: what another tenant
    keeps is not told.
    """
    asked = {part.name: part for part in key.parts()}
    found = []
    for entry in entries:
        if (entry.use, entry.tenant) != (key.use, key.tenant) or entry.digest == key.digest:
            continue
        stored = {part.name: part for part in entry.parts}
        names = [*asked, *(name for name in stored if name not in asked)]
        differences = tuple(
            Difference(
                name,
                asked[name].shown if name in asked else "-",
                stored[name].shown if name in stored else "-",
            )
            for name in names
            if name not in asked or name not in stored or asked[name].digest != stored[name].digest
        )
        found.append(NearMiss(entry.label, entry.age_s(now_s), differences))
    found.sort(key=lambda near: (len(near.differences), near.age_s))
    return tuple(found[:MOST_NEAR])
