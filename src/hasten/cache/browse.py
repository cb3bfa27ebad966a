"""Reading what the cache holds: for people, for dry runs, and to explain a call.

Owns listing entries over all tiers and telling why a call would hit or miss. It
counts nothing and changes nothing. Leaves comparing keys to ``explain``.
"""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.cache.decide import Miss, decide
from hasten.cache.entry import CacheEntry, unseal
from hasten.cache.explain import Explanation, nearest
from hasten.cache.generation import NEVER
from hasten.cache.look import CacheCall, CacheLook
from hasten.caller import current_caller
from hasten.clock import current_clock
from hasten.errors import CodecError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from hasten.cache.cache import Cache
    from hasten.cache.flight import CacheFlight
    from hasten.cache.key import Key
    from hasten.cache.policy import CachePolicy, Directives

MOST_FOUND = 100_000
"""At most so many entries are listed, unless told otherwise."""

NEAR_AMONG = 2_000
"""At most so many entries are compared to find what comes near."""


class StoredEntry(msgspec.Struct, frozen=True):
    """An entry without its value, the tiers it lies in, and how it was used in this process."""

    entry: CacheEntry
    tiers: tuple[str, ...]
    size_bytes: int
    hits: int = 0
    last_hit_s: float | None = None


async def find_entries(
    cache: Cache,
    tenant: str,
    *,
    use: str = "",
    pattern: str = "*",
    marks: Collection[bytes] = (),
    limit: int = MOST_FOUND,
    before: int = NEVER,
) -> list[StoredEntry]:
    """Return living entries of one tenant: of a use, with a label, with any of the marks.

    Each once, with every tier it lies in, and at most ``limit``; ``pattern`` is
    matched against labels. With ``before``, those that lived before that epoch.
    """
    found: dict[bytes, StoredEntry] = {}
    wanted = frozenset(marks)
    async for entry, tier, size_bytes in _copies(cache, before):
        if entry.tenant != tenant or (use and entry.use != use):
            continue
        if not fnmatchcase(entry.label, pattern) or (wanted and wanted.isdisjoint(entry.marks)):
            continue
        known = found.get(entry.digest)
        if known is None and len(found) >= limit:
            break
        tiers = (*(known.tiers if known else ()), tier)
        found[entry.digest] = StoredEntry(entry, tiers, size_bytes, *_uses(cache, entry.digest))
    return list(found.values())


async def _copies(cache: Cache, before: int) -> AsyncGenerator[tuple[CacheEntry, str, int], None]:
    """Yield each living copy of each entry: without its value, its tier, its size."""
    view = cache.ledger.view
    if cache.ledger.view.is_due:
        await cache.ledger.sync()
    for held in cache.memory.entries():
        if view.is_alive(held.entry.marks, before):
            yield msgspec.structs.replace(held.entry, body=b""), cache.memory.name, held.size_bytes
    for tier in cache.all_tiers():
        try:
            async for data in tier.store.scan():
                try:
                    entry = unseal(data)
                except CodecError:
                    continue
                if await cache.ledger.is_alive(entry, tier, before):
                    yield msgspec.structs.replace(entry, body=b""), tier.name, len(data)
        except StoreError:
            tier.errors += 1


def _uses(cache: Cache, digest: bytes) -> tuple[int, float | None]:
    held = cache.memory.queue.nodes.get(digest)
    return (0, None) if held is None or not held.hits else (held.hits, held.last_hit_s)


async def peek(cache: Cache, key: Key, policy: CachePolicy, directives: Directives) -> Any:
    """Return the value a call would get from what is stored now; ``None`` if it would get none."""
    call = CacheCall(key, _never, policy, directives)
    if cache.ledger.view.is_due:
        await cache.ledger.sync()
    held, now_s = cache.memory.alive(key.digest), current_clock().now()
    if held is not None and held.entry.kind == "value" and now_s < held.leaves_s:
        if isinstance(decide(held.entry, now_s, directives, policy, 1.0), Miss):
            return None
        with suppress(CodecError):
            return held.read(policy.returns)
    found = await CacheLook(cache, call).find()
    return None if found is None else found.value


async def _never(_flight: CacheFlight) -> Any:
    """Compute nothing: a peek only looks."""


async def explain(
    cache: Cache, key: Key, policy: CachePolicy, directives: Directives
) -> Explanation:
    """Say what a call would get now, from which tier and why, and which keys come near.

    Entries of other people are compared for an admin of the same tenant only.
    """
    look = CacheLook(cache, CacheCall(key, _never, policy, directives))
    now_s = current_clock().now()
    held = cache.memory.queue.nodes.get(key.digest)
    label, digest = key.label, key.digest.hex()
    if held is not None and cache.ledger.view.is_alive(held.entry.marks):
        decision = decide(held.entry, now_s, directives, policy, 1.0)
        if not isinstance(decision, Miss) and now_s < held.leaves_s:
            return Explanation(label, digest, cache.memory.name, decision)
    found = await look.find()
    if found is not None:
        return Explanation(label, digest, found.tier, found.decision)
    caller = current_caller()
    near = await find_entries(cache, key.tenant, use=key.use, limit=NEAR_AMONG)
    seen = [
        one.entry
        for one in near
        if not one.entry.user or caller.may_see(one.entry.tenant, one.entry.user)
    ]
    return Explanation(label, digest, "", Miss(look.reason), nearest(key, seen, now_s))
