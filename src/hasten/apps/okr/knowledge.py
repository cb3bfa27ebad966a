"""The coach's small knowledge base: pieces of our own, found by full text.

Owns the pieces and the search, ranked by BM25. The index
is in memory.
"""

from __future__ import annotations

import re
import sqlite3
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from hasten import current_clock
from hasten.apps.okr.board import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

LATENCY_S = 0.0009
"""How long a search takes (okr plan 4: 0.9 ms)."""

SUGGESTED = 2
_WORD = re.compile(r"[a-z]{3,}")


class Piece(BaseModel):
    """One thing worth knowing."""

    model_config = ConfigDict(frozen=True)

    title: str
    phase: Phase
    text: str


class Knowledge:
    """Searches; ``latency_s`` is how long that takes."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        _index()  # so that no search waits until it is made

    async def search(self, words: str, limit: int = SUGGESTED) -> tuple[Piece, ...]:
        """Return what is known to ``words``, the best first."""
        if self._latency_s:
            await current_clock().sleep(self._latency_s)
        return _found(words, limit)


@cache
def pieces() -> tuple[Piece, ...]:
    """Return everything that is known."""
    text = files(__package__).joinpath("knowledge.toml").read_text(encoding="utf-8")
    return tuple(Piece.model_validate(one) for one in tomllib.loads(text)["piece"])


def about(phase: Phase) -> Sequence[Piece]:
    """Return everything that is known of a phase."""
    return [one for one in pieces() if one.phase == phase]


def _found(words: str, limit: int) -> tuple[Piece, ...]:
    asked = list(dict.fromkeys(_WORD.findall(words.lower())))[:40]
    if not asked:
        return ()
    rows = _index().execute(
        "SELECT number FROM piece WHERE piece MATCH ? ORDER BY bm25(piece, 2.0, 1.0) LIMIT ?",
        (" OR ".join(f'"{word}"' for word in asked), limit),
    )
    return tuple(pieces()[number] for (number,) in rows)


@cache
def _index() -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(
        "CREATE VIRTUAL TABLE piece USING fts5(title, text, number UNINDEXED, "
        "tokenize='porter unicode61')"
    )
    index.executemany(
        "INSERT INTO piece (title, text, number) VALUES (?, ?, ?)",
        [(one.title, one.text, number) for number, one in enumerate(pieces())],
    )
    return index
