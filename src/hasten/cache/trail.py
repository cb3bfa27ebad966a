"""What goes into a value while it is computed: the entries used, taints, money.

Owns the context variable that carries the trail of the computation a task works
in. A value inherits from what it was built from: marks and tags, so that dropping
market data drops the reports made from it, and taints.
``cache`` opens a trail for each computation; model wrappers and steps add to it.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hasten.cache.generation import NEVER
from hasten.cache.key import mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hasten.cache.entry import CacheEntry
    from hasten.cache.generation import CacheGenerations
    from hasten.cache.key import Key


class CacheTrail:
    """What went into one value so far.

    ``generation`` is that of its computation. ``marks`` say for each mark the
    generation since which it must not have been bumped: the computation's own, or
    that of the oldest part that has it. ``guards`` are marks, too, that matter only
    while it is computed.
    """

    __slots__ = (
        "built_from",
        "cost_usd",
        "generation",
        "guards",
        "marks",
        "owners",
        "tags",
        "taints",
        "took_s",
    )

    def __init__(
        self, generation: int = NEVER, marks: Iterable[bytes] = (), guard: bytes = b""
    ) -> None:
        self.generation = generation
        self.marks = dict.fromkeys(marks, generation)
        self.guards = {guard: generation} if guard else {}
        self.tags: dict[str, None] = {}
        self.built_from: dict[bytes, None] = {}
        self.owners: set[tuple[str, str, str]] = set()
        self.taints: list[str] = []
        self.cost_usd = 0.0
        self.took_s = 0.0

    def add_entry(self, entry: CacheEntry) -> None:
        """Note that ``entry`` was used."""
        _add_oldest(self.marks, entry.marks)
        self.tags.update(dict.fromkeys(entry.tags))
        self.built_from[entry.digest] = None
        self.owners.add((entry.tenant, entry.user, entry.session))

    def add(self, other: CacheTrail) -> None:
        """Note that a value with the trail ``other`` is used."""
        _add_oldest(self.marks, other.marks)
        _add_oldest(self.guards, other.guards)
        self.tags.update(other.tags)
        self.built_from.update(other.built_from)
        self.owners |= other.owners
        self.taints += [one for one in other.taints if one not in self.taints]

    def begin(self, generation: int) -> None:
        """Start computing now: what was bumped before does not matter to it."""
        self.generation = generation
        self.marks = dict.fromkeys(self.marks, generation)
        self.guards = dict.fromkeys(self.guards, generation)

    def is_alive(self, view: CacheGenerations) -> bool:
        """Whether nothing it was made of, nor it itself, was invalidated since."""
        return view.is_alive(self.marks) and view.is_alive(self.guards)

    def leak_into(self, key: Key) -> str:
        """Say why a value with this trail must not be kept under ``key``; empty if it may.

        A value that more people share than one of its parts would carry that part to them.
        """
        for tenant, user, session in self.owners:
            if tenant not in ("", key.tenant):
                return "built from another tenant's value"
            if user not in ("", key.user):
                return "built from one person's value, but kept for others"
            if session not in ("", key.session):
                return "built from one session's value, but kept for others"
        return ""


def _add_oldest(mine: dict[bytes, int], theirs: Mapping[bytes, int]) -> None:
    if not mine:
        mine.update(theirs)
        return
    for one, generation in theirs.items():
        if generation < mine.setdefault(one, generation):
            mine[one] = generation


_trail: ContextVar[CacheTrail | None] = ContextVar("hasten_cache_trail", default=None)


def current_trail() -> CacheTrail | None:
    """Return the trail of the computation this task works in, if it is one."""
    return _trail.get()


def set_trail(trail: CacheTrail) -> None:
    """Let this task, and the tasks it starts, add to ``trail``."""
    _trail.set(trail)


@contextmanager
def leave_trail(trail: CacheTrail | None) -> Iterator[CacheTrail | None]:
    """Let this block, and the tasks it starts, add to ``trail``."""
    token = _trail.set(trail)
    try:
        yield trail
    finally:
        _trail.reset(token)


def use_entry(entry: CacheEntry) -> None:
    """Say that what is being computed here uses a stored value."""
    here = _trail.get()
    if here is not None:
        here.add_entry(entry)


def inherit(trail: CacheTrail | None) -> None:
    """Say that what is being computed here is made of values with ``trail``."""
    here = _trail.get()
    if here is not None and trail is not None:
        here.add(trail)


def taint(reason: str) -> None:
    """Say that what is being computed here is not as good as it should be: never store it."""
    trail = _trail.get()
    if trail is not None:
        trail.taints.append(reason)


def add_cost(cost_usd: float, *, took_s: float = 0.0) -> None:
    """Say that what is being computed here cost so much; a hit later saves it.

    ``took_s`` are seconds it took before, such as those of the run whose answer it is.
    """
    trail = _trail.get()
    if trail is not None:
        trail.cost_usd += cost_usd
        trail.took_s += took_s


def add_tags(*tags: str) -> None:
    """Give what is being computed here further tags, known only now."""
    trail = _trail.get()
    if trail is not None:
        trail.tags.update(dict.fromkeys(tags))


def add_public_tags(*tags: str) -> None:
    """Give what is being computed here further tags, by which it falls in every tenant at once."""
    trail = _trail.get()
    if trail is not None:
        add_tags(*tags)
        for tag in tags:
            trail.marks.setdefault(mark("tag", "", tag), trail.generation)
