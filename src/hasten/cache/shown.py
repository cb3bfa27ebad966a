"""What the cache holds and did, as plain records for people and programs.

Owns which entries a caller may look at, and the words an entry and the counters
are shown in. Leaves listing to ``browse`` and dropping to ``invalidate``. The
routes of ``serve`` and the verbs of ``cli`` show what this gives.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from hasten import codec
from hasten.cache.browse import StoredEntry, find_entries
from hasten.cache.entry import unseal
from hasten.cache.key import mark
from hasten.clock import current_clock
from hasten.errors import CodecError, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.cache.cache import Cache
    from hasten.cache.entry import CacheEntry
    from hasten.cache.stats import UseStats
    from hasten.caller import Caller

PREVIEW_CHARS = 4_000
"""A value is shown up to here."""

_ADDED = ("hits", "stale", "misses", "collapsed", "errors", "stored", "saved_s", "saved_usd")


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list: of a use, with a tag, with a field (``name=value``), by label."""

    use: str = ""
    tag: str = ""
    field: str = ""
    pattern: str = "*"

    def marks(self, tenant: str) -> tuple[bytes, ...]:
        """Return the marks an entry of ``tenant`` must have. Raises ``InvalidInput``."""
        name, has_value, value = self.field.partition("=")
        if self.field and not (name and has_value):
            message = f"not a field: {self.field!r}; write NAME=VALUE"
            raise InvalidInput(message, field="field", value=self.field)
        tags = (mark("tag", tenant, self.tag),) if self.tag else ()
        return (*tags, mark("field", tenant, name, value)) if self.field else tags


def may_see_entry(caller: Caller, entry: CacheEntry) -> bool:
    """Whether an entry may be shown: to its owner; to an admin, their tenant's and public ones."""
    if caller.role == "admin":
        return entry.tenant in (caller.tenant, "")
    return bool(entry.user) and caller.may_see(entry.tenant, entry.user)


async def entries_for(cache: Cache, caller: Caller, which: EntryFilter) -> list[StoredEntry]:
    """Return the living entries that match and that ``caller`` may see, newest first."""
    found: list[StoredEntry] = []
    for tenant in (caller.tenant, ""):
        marks = which.marks(tenant)
        listed = await find_entries(
            cache, tenant, use=which.use, pattern=which.pattern, marks=marks
        )
        found += [
            one
            for one in listed
            if all(wanted in one.entry.marks for wanted in marks)
            and may_see_entry(caller, one.entry)
        ]
    return sorted(found, key=lambda one: one.entry.created_s, reverse=True)


async def entry_for(cache: Cache, caller: Caller, key: str) -> StoredEntry:
    """Return the entry with this key (hexadecimal).

    Raises ``NotFound`` too when ``caller`` may not see it.
    """
    for tenant in (caller.tenant, ""):
        for one in await find_entries(cache, tenant, marks=(mark("key", tenant, key.lower()),)):
            if one.entry.digest.hex() == key.lower() and may_see_entry(caller, one.entry):
                return one
    message = f"no cache entry {key!r}"
    raise NotFound(message)


async def clean_tenant(cache: Cache, tenant: str, older_than_s: float) -> int:
    """Delete what one tenant has that was computed longer ago; return how many entries."""
    before_s = current_clock().now() - older_than_s
    found = await find_entries(cache, tenant, limit=sys.maxsize)
    old = [one.entry.digest for one in found if one.entry.created_s < before_s]
    await cache.delete(old)
    return len(old)


async def value_of(cache: Cache, found: StoredEntry) -> str:
    """Return the beginning of an entry's value as text; empty if it is gone by now."""
    digest = found.entry.digest
    held = cache.memory.queue.nodes.get(digest)
    try:
        if held is not None:
            return _as_text(held.read(Any) if held.entry.kind != "error" else held.entry.body)
        for tier in cache.all_tiers():
            data = await tier.get(digest)
            if data is not None:
                return _as_text(codec.decode(unseal(data).body, Any))
    except CodecError as error:
        return f"unreadable: {error}"
    return ""


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(codec.to_plain(value)).decode()
    return text if len(text) <= PREVIEW_CHARS else text[:PREVIEW_CHARS] + "…"


def entry_shown(found: StoredEntry) -> dict[str, Any]:
    """Return one entry as people see it; times are seconds since the Unix epoch."""
    entry, now_s = found.entry, current_clock().now()
    is_fresh = entry.fresh_until_s is None or now_s < entry.fresh_until_s
    return {
        "key": entry.digest.hex(),
        "label": entry.label,
        "use": entry.use,
        "scope": entry.scope,
        "user": entry.user,
        "kind": entry.kind,
        "tiers": list(found.tiers),
        "size_bytes": found.size_bytes,
        "created_s": entry.created_s,
        "age_s": entry.age_s(now_s),
        "expires_s": entry.fresh_until_s,
        "is_fresh": is_fresh,
        "is_kept": entry.is_kept,
        "hits": found.hits,
        "last_hit_s": found.last_hit_s,
        "tags": list(entry.tags),
        "run_id": entry.provenance.run_id,
        "compute_s": entry.provenance.compute_s,
        "cost_usd": entry.provenance.cost_usd,
        "built_from": [one.hex() for one in entry.provenance.built_from],
    }


def stats_shown(cache: Cache) -> dict[str, Any]:
    """Return each tier's state, and what the cache did per use and per use and tier.

    A miss belongs to a use and to no tier: its row's tier is empty.
    """
    rows = cache.stats.rows()
    memory = cache.memory.queue
    return {
        "tiers": [
            {"tier": cache.memory.name, "is_available": True, "errors": 0},
            *(
                {"tier": one.tier, "is_available": one.is_available, "errors": one.errors}
                for one in (tier.status() for tier in cache.all_tiers())
            ),
        ],
        "memory_entries": len(memory.nodes),
        "uses": [
            {"use": use, **added_up([row for row in rows if row.use == use])}
            for use in sorted({row.use for row in rows})
        ],
        "rows": [msgspec.to_builtins(row) for row in rows],
    }


def added_up(rows: Sequence[UseStats]) -> dict[str, Any]:
    """Return the sums of some rows' counters; ``hits`` are the fresh ones, beside ``stale``."""
    sums = {name: sum(getattr(row, name) for row in rows) for name in _ADDED}
    return {**sums, "hits": sums["hits"] - sums["stale"]}


def stats_lines(cache: Cache) -> list[str]:
    """Return what the cache did, for a log: the fortune plan's line, then every use on its own."""
    uses = stats_shown(cache)["uses"]
    if not uses:
        return []
    whole = added_up(cache.stats.rows())
    hits, misses = whole["hits"] + whole["stale"] + whole["collapsed"], whole["misses"]
    final = {
        "cache_hits": hits,
        "cache_misses": misses,
        "hit_rate_percent": round(100 * hits / max(hits + misses, 1), 2),
        "estimated_time_saved_seconds": round(whole["saved_s"], 1),
    }
    return [
        f"[CACHE_STATS] Final stats: {final}",
        *(f"[CACHE_STATS] {_use_line(one)}" for one in uses),
    ]


def _use_line(one: dict[str, Any]) -> str:
    return (
        f"{one['use']}: {one['hits']} hits, {one['stale']} stale, {one['collapsed']} collapsed, "
        f"{one['misses']} misses, {one['errors']} errors, "
        f"saved {one['saved_s']:.1f} s and ${one['saved_usd']:.4f}"
    )
