"""Dropping what must not be served any more.

Owns what an invalidation means: which marks are bumped, what is deleted besides,
what a dry run shows, and the audit trail. Leaves reaching other processes to
``ledger`` and listing to ``browse``. ``Cache`` offers it; ``serve`` and ``cli`` call it.

A tag, field, use, user or session is one bump, however many entries have it: they
are dead at once, in every tier and process, and their bytes go as they expire or
make room. What was built from a dropped entry has its marks and is dropped with it.
A key or pattern also deletes. Erasing a person deletes, and answers only when every
tier has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.cache.browse import StoredEntry, find_entries
from hasten.cache.generation import NEVER
from hasten.cache.key import MarkKind, mark
from hasten.caller import current_caller
from hasten.clock import current_clock
from hasten.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.cache.cache import Cache

SelectorKind = Literal["key", "use", "user", "session", "field", "tag", "pattern"]

_KINDS = ("key", "use", "user", "session", "field", "tag", "pattern")


class CacheSelector(msgspec.Struct, frozen=True):
    """What to drop: everything with this key (hexadecimal), tag, field, session and so on.

    ``words`` is one word, for a field its name and value. A pattern is matched
    against labels, ``*`` and ``?`` standing for anything and any character.
    """

    kind: SelectorKind
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> CacheSelector:
        """Return the selector in ``kind=word`` or ``field=name=value``. Raises ``InvalidInput``."""
        kind, _, rest = text.partition("=")
        words = tuple(rest.split("=", 1)) if kind == "field" else (rest,)
        wanted = 2 if kind == "field" else 1
        if kind not in _KINDS or len(words) != wanted or not rest:
            message = f"not a selector: {text!r}; write KIND=WORD or field=NAME=VALUE"
            raise InvalidInput(message, field="selector", value=text, allowed=_KINDS)
        return cls(kind, words)  # type: ignore[arg-type]  # it is one of the kinds

    def __str__(self) -> str:
        return "=".join((self.kind, *self.words))

    def marks(self, tenants: Sequence[str]) -> tuple[bytes, ...]:
        """Return the marks to bump within the tenants.

        A pattern bumps what is being computed there, whose labels nobody knows; what
        is stored is looked for afterwards.
        """
        if self.kind == "pattern":
            return tuple(mark("fill", tenant) for tenant in tenants)
        kind: MarkKind = self.kind
        return tuple(mark(kind, tenant, *self.words) for tenant in tenants)


class Invalidation(msgspec.Struct, frozen=True):
    """What an invalidation did, or would do. ``epoch`` is 0 in a dry run.

    ``dropped`` lists the entries where they were looked for: in a dry run, for a key,
    for a pattern, and where the list was asked for.
    """

    selector: str
    tenants: tuple[str, ...]
    by: str
    at_s: float
    why: str = ""
    epoch: int = 0
    dropped: tuple[StoredEntry, ...] = ()

    def tree(self) -> list[str]:
        """Return the dropped entries as lines, what was built from one indented below it."""
        known = {found.entry.digest: found for found in self.dropped}
        below: dict[bytes, list[StoredEntry]] = {}
        tops = []
        for found in self.dropped:
            parts = [one for one in found.entry.provenance.built_from if one in known]
            for part in parts:
                below.setdefault(part, []).append(found)
            if not parts:
                tops.append(found)
        return [line for top in tops for line in _branch(top, below, 0)]


async def invalidate(
    cache: Cache,
    selector: CacheSelector,
    tenants: Sequence[str],
    *,
    is_dry_run: bool,
    is_listed: bool = False,
    why: str = "",
) -> Invalidation:
    """Drop what ``selector`` selects within the tenants, or list what would go.

    ``is_listed`` looks through every tier for what went, after it is gone.

    Raises ``StoreUnavailable`` when the ledger cannot be told.
    """
    ledger, kind = cache.ledger, selector.kind
    marks = selector.marks(tenants)
    by, at_s = current_caller().user, current_clock().now()
    done = Invalidation(str(selector), tuple(tenants), by, at_s, why)
    if is_dry_run:
        found = await _selected(cache, selector, tenants)
        return msgspec.structs.replace(done, dropped=tuple(found))
    earlier = await ledger.bumps(marks) if is_listed else {}
    epoch = await ledger.bump(marks)
    is_deleted = kind in {"key", "pattern"}
    dropped: list[StoredEntry] = []
    if is_deleted or is_listed:
        found = await _selected(cache, selector, tenants, before=epoch)
        dropped = [one for one in found if not _was_dead(one, earlier)]
    if is_deleted:
        keys = [mark("key", found.entry.tenant, found.entry.digest.hex()) for found in dropped]
        if kind == "pattern" and keys:
            epoch = await ledger.bump(keys)
        await cache.delete([found.entry.digest for found in dropped])
    done = msgspec.structs.replace(done, epoch=epoch, dropped=tuple(dropped))
    await _note(cache, done)
    return done


async def erase(cache: Cache, tenant: str, user: str) -> int:
    """Delete everything that belongs to one person; return how many copies went.

    Raises ``StoreUnavailable`` if a tier could not be asked: then do it again.
    """
    owner = mark("user", tenant, user)
    epoch = await cache.ledger.bump([owner])
    total = cache.memory.drop_owned(owner)
    failed = []
    for tier in cache.all_tiers():
        count = await tier.delete_owned(owner)
        total += count or 0
        if count is None:
            failed.append(tier.name)
    by, at_s = current_caller().user, current_clock().now()
    await _note(cache, Invalidation(f"erased={owner.hex()}", (tenant,), by, at_s, epoch=epoch))
    if failed:
        message = f"not erased from {', '.join(failed)}: unavailable; erase again when it answers"
        raise StoreUnavailable(message, store=failed[0])
    return total


async def audit(cache: Cache, limit: int) -> list[dict[str, Any]]:
    """Return the newest invalidations: selector, tenants, who, when, epoch."""
    lines = await cache.ledger.tier.store.notes(limit)
    return [msgspec.msgpack.decode(line) for line in lines]


async def _note(cache: Cache, done: Invalidation) -> None:
    line = {
        "selector": done.selector,
        "tenants": done.tenants,
        "by": done.by,
        "at_s": done.at_s,
        "why": done.why,
        "epoch": done.epoch,
        "dropped": len(done.dropped),
    }
    await cache.ledger.tier.store.note(msgspec.msgpack.encode(line))


async def _selected(
    cache: Cache, selector: CacheSelector, tenants: Sequence[str], before: int = NEVER
) -> list[StoredEntry]:
    """Return the stored entries a selector means, and what was built from them.

    They are looked for after the bump, lest one that is just being written is missed.
    """
    chosen = set(selector.marks(tenants))
    if selector.kind == "pattern":
        matches = [
            found
            for tenant in tenants
            for found in await find_entries(cache, tenant, pattern=selector.words[0], before=before)
        ]
        chosen = {mark("key", one.entry.tenant, one.entry.digest.hex()) for one in matches}
    if not chosen:
        return []
    return [
        found
        for tenant in tenants
        for found in await find_entries(cache, tenant, marks=chosen, before=before)
    ]


def _was_dead(found: StoredEntry, bumps: Mapping[bytes, int]) -> bool:
    """Whether an entry was dead by bumps of marks that were bumped again since."""
    return any(bumps.get(mark, 0) > since for mark, since in found.entry.marks.items())


def _branch(found: StoredEntry, below: dict[bytes, list[StoredEntry]], depth: int) -> list[str]:
    line = f"{'  ' * depth}{found.entry.label}  [{', '.join(found.tiers)}]"
    inner = below.get(found.entry.digest, [])
    return [line, *(more for one in inner for more in _branch(one, below, depth + 1))]
