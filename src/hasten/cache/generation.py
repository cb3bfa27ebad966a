"""What was invalidated, as this process knows it.

Owns the local view of one store's generations, the *ledger* of the cache: an
entry is dead once one of its marks was bumped after the generation it was filled
in at, or that of the part it has the mark from. The view is exact for everything
bumped since it began, and asks the ledger about older marks once. Leaves bumping
and remembering to the store.

How fast an invalidation reaches other processes: at once when the ledger's news
arrive, and within ``SYNC_EVERY_S`` when a message is lost, because no entry is
served from memory on an older view. While the ledger cannot be reached, memory
goes on serving for as long as it may hold an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hasten.store.base import Changes

SYNC_EVERY_S = 1.0
"""A view older than this is brought up to date before memory answers on it."""

MARKS_KNOWN = 200_000
"""The view forgets all and begins anew when it knows so many marks."""


NEVER = 2**62
"""Above every epoch."""


class CacheGenerations:
    """The view: ``epoch`` is the newest bump it knows, ``sure_until_s`` how long it may stand."""

    def __init__(self) -> None:
        self.epoch = 0
        self.sure_until_s = 0.0
        self._floor = 0
        self._complete_since = 0
        self._bumps: dict[bytes, int] = {}

    def is_alive(self, marks: Mapping[bytes, int], before: int = NEVER) -> bool:
        """Whether none of the marks was bumped since its generation, as far as this view knows.

        With ``before``, whether none was before that epoch.
        """
        bumped, floor = self._bumps.get, self._floor
        for mark, generation in marks.items():
            if generation < floor or generation < bumped(mark, 0) < before:
                return False
        return True

    def unknown(self, marks: Mapping[bytes, int]) -> list[bytes]:
        """Return the marks the ledger must be asked about before ``is_alive`` is exact."""
        return [
            mark
            for mark, generation in marks.items()
            if generation < self._complete_since and mark not in self._bumps
        ]

    def apply(self, changes: Changes, asked: Iterable[bytes] = ()) -> None:
        """Take in what the ledger told since ``epoch``, and about the marks ``asked``."""
        if not self.epoch:
            self._complete_since = changes.epoch
        for mark in asked:
            self._bumps.setdefault(mark, 0)
        for mark, at in changes.bumps.items():
            self._bumps[mark] = max(at, self._bumps.get(mark, 0))
        self._floor = max(self._floor, changes.floor)
        self.epoch = max(self.epoch, changes.epoch)
        if len(self._bumps) > MARKS_KNOWN:
            self._bumps.clear()
            self._complete_since = self.epoch

    @property
    def is_due(self) -> bool:
        """Whether the view is older than it may be."""
        return current_clock().now() >= self.sure_until_s

    def doubt(self) -> None:
        """Make the next reader bring the view up to date."""
        self.sure_until_s = 0.0
