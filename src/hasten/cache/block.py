"""Blocks: the sections of an answer that may come from the cache, and how many of them may.

Owns the arithmetic of the fresh share. Leaves what the sections are, and making
them anew, to ``graph/freshness``. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def fresh_share(chars: Mapping[str, int], reused: Collection[str]) -> float:
    """Return the share of all characters that is in no ``reused`` section; 1 of nothing."""
    total = sum(chars.values())
    if total == 0:
        return 1.0
    return 1.0 - sum(count for name, count in chars.items() if name in reused) / total


def choose(
    chars: Mapping[str, int], stored: Collection[str], blocks: Collection[str], floor: float
) -> frozenset[str]:
    """Return the ``blocks`` that may be reused so that the fresh share is at least ``floor``.

    ``chars`` are the lengths of all sections. What is ``stored`` comes first, and the
    longest first: it saves the most. Blocks that are not stored yet are among the
    chosen because another run may store them meanwhile.
    """
    room = (1.0 - floor) * sum(chars.values())
    chosen: set[str] = set()
    for name in sorted(blocks, key=lambda name: (name not in stored, -chars[name], name)):
        if chars[name] <= room:
            room -= chars[name]
            chosen.add(name)
    return frozenset(chosen)
