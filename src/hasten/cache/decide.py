"""May this entry answer this request? Data and ``now`` in, a decision with its reason out.

Owns the meaning of fresh and stale: RFC 9111 (sections 4.2 and 5.2.1) for ages
and request directives, RFC 5861 for stale answers, XFetch for early refreshes.
Pure: no I/O, no clock, no randomness of its own. ``cache`` acts on what it says;
logs, metrics, headers and ``explain`` show the very same values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from hasten.cache.entry import Kind

if TYPE_CHECKING:
    from hasten.cache.entry import CacheEntry
    from hasten.cache.key import Key
    from hasten.cache.policy import CachePolicy, Directives

EARLY_SHARE = 0.2
"""An early refresh happens in the last fifth of a life at the soonest."""


class Fresh(msgspec.Struct, frozen=True):
    """Serve it: ``age_s`` old, fresh for ``ttl_s`` more; ``is_early``: renew it meanwhile."""

    age_s: float
    ttl_s: float
    is_early: bool = False


class Stale(msgspec.Struct, frozen=True):
    """Serve it although it is not fresh, for ``reason``; ``is_renewed``: renew it meanwhile."""

    age_s: float
    reason: str
    is_renewed: bool = False


class Miss(msgspec.Struct, frozen=True):
    """Do not serve it, for ``reason``."""

    reason: str


Decision = Fresh | Stale | Miss


class Keep(msgspec.Struct, frozen=True):
    """Store the value as ``kind``, fresh for ``ttl_s`` (``None``: for ever)."""

    kind: Kind
    ttl_s: float | None


class Skip(msgspec.Struct, frozen=True):
    """Do not store the value, for ``reason``."""

    reason: str


class Life(msgspec.Struct, frozen=True):
    """The times of a new entry, as ``CacheEntry`` holds them."""

    fresh_until_s: float | None
    revalidate_until_s: float
    error_until_s: float


def decide(
    entry: CacheEntry, now_s: float, directives: Directives, policy: CachePolicy, draw: float
) -> Decision:
    """Decide whether ``entry`` may answer now; ``draw`` is a number from 0 to 1, for XFetch.

    Invalidation is not asked here: an entry one of whose marks was bumped never gets this far.
    """
    age_s = entry.age_s(now_s)
    if directives.no_cache:
        return Miss("no-cache: the request wants a new answer")
    oldest_s = directives.max_age_s
    if oldest_s is not None and age_s > oldest_s + directives.max_stale_s:
        return Miss(f"max-age: it is {age_s:.0f} s old, the request takes {oldest_s:.0f} s")
    ttl_s = math.inf if entry.fresh_until_s is None else entry.fresh_until_s - now_s
    if ttl_s <= 0:
        return _stale(entry, now_s, -ttl_s, directives)
    if ttl_s < directives.min_fresh_s:
        return Miss(f"min-fresh: it is fresh for {ttl_s:.0f} s more only")
    if oldest_s is not None and age_s > oldest_s:
        return Stale(age_s, "max-stale: the request takes it")
    is_early = policy.is_refreshed_early and is_due_early(entry, now_s, draw)
    return Fresh(age_s, ttl_s, is_early)


def _stale(entry: CacheEntry, now_s: float, late_s: float, directives: Directives) -> Decision:
    """Decide about an entry whose life ended ``late_s`` ago (RFC 9111 section 4.2.4)."""
    age_s = entry.age_s(now_s)
    if directives.min_fresh_s > 0:
        return Miss("min-fresh: it is stale")
    if late_s <= directives.max_stale_s > 0:
        return Stale(age_s, "max-stale: the request takes it")
    is_limited = directives.max_age_s is not None
    if now_s < entry.revalidate_until_s and not is_limited:
        return Stale(age_s, "stale-while-revalidate", is_renewed=True)
    return Miss(f"expired {late_s:.0f} s ago")


def stand_in(entry: CacheEntry, now_s: float, directives: Directives) -> Stale | None:
    """Decide whether ``entry`` may stand in for an error (RFC 5861 section 4)."""
    age_s = entry.age_s(now_s)
    is_too_old = directives.max_age_s is not None and age_s > directives.max_age_s
    if entry.kind == "error" or directives.no_cache or is_too_old:
        return None
    if now_s >= entry.error_until_s and not _is_fresh(entry, now_s):
        return None
    return Stale(age_s, "stale-if-error")


def _is_fresh(entry: CacheEntry, now_s: float) -> bool:
    return entry.fresh_until_s is None or now_s < entry.fresh_until_s


def early_from_s(entry: CacheEntry) -> float:
    """Return when early refreshes of ``entry`` may begin; ``inf`` when they never do."""
    if entry.fresh_until_s is None or entry.kind == "error":
        return math.inf
    return entry.fresh_until_s - (entry.fresh_until_s - entry.created_s) * EARLY_SHARE


def is_due_early(entry: CacheEntry, now_s: float, draw: float) -> bool:
    """Whether this request should refresh ``entry`` before it expires.

    XFetch with beta 1, likelier the nearer the end and the longer it takes to
    compute; and one computation sooner, since ours runs beside the request that
    starts it. One of many callers refreshes, and the others hardly ever wait.
    """
    if now_s < early_from_s(entry) or entry.fresh_until_s is None:
        return False
    head_start_s = entry.provenance.compute_s * (1 - math.log(max(draw, 1e-12)))
    return now_s + head_start_s >= entry.fresh_until_s


def admit(
    policy: CachePolicy, directives: Directives, value: object, *, taints: tuple[str, ...]
) -> Keep | Skip:
    """Decide whether ``value`` may be stored, and for how long.

    ``taints`` say what is wrong with how it came about: a fallback, a soft input
    that was missed. A tainted value is never stored.
    """
    if directives.no_store:
        return Skip("no-store: the request forbids it")
    if taints:
        return Skip(f"tainted: {taints[0]}")
    if policy.is_negative(value):
        if policy.negative_ttl_s is None:
            return Skip("negative: the policy stores no such results")
        return Keep("negative", policy.negative_ttl_s)
    if not policy.is_storable(value):
        return Skip("not storable: the policy declines it")
    return Keep("value", policy.ttl_s)


def admit_error(policy: CachePolicy, directives: Directives) -> Keep | Skip:
    """Decide whether an error may be stored, and for how long."""
    if directives.no_store:
        return Skip("no-store: the request forbids it")
    if policy.error_ttl_s is None:
        return Skip("error: the policy stores no errors")
    return Keep("error", policy.error_ttl_s)


def life_of(keep: Keep, policy: CachePolicy, key: Key, now_s: float) -> Life:
    """Return the times of an entry stored now.

    The jitter is drawn from the key's digest: always the same for a key, spread
    over keys, and only ever shortening.
    """
    if keep.ttl_s is None:
        return Life(None, math.inf, math.inf)
    spread = int.from_bytes(key.digest[-4:]) / 2**32
    end_s = now_s + keep.ttl_s * (1 - policy.jitter * spread)
    if keep.kind != "value":
        return Life(end_s, end_s, end_s)
    return Life(end_s, end_s + policy.stale_while_revalidate_s, end_s + policy.stale_if_error_s)
