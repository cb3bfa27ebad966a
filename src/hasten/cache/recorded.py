"""What the cache did in runs that were recorded, told from their spans.

Owns adding up the spans that say so. Leaves counting in a live process to
``stats`` and showing to ``cli``. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hasten.trace.span import Span


class RecordedUse(msgspec.Struct):
    """One use of the cache over some runs: how often each result came, what hits saved."""

    use: str
    results: Counter[str] = msgspec.field(default_factory=Counter)
    saved_s: float = 0.0
    saved_usd: float = 0.0


class RecordedUses:
    """The uses of the cache over the runs that were added, by name."""

    def __init__(self) -> None:
        self.by_use: dict[str, RecordedUse] = {}

    def add(self, spans: Iterable[Span]) -> None:
        """Add one run's spans.

        A step that looked beyond memory says the same as the ``cache`` span inside
        it: it is counted once.
        """
        said = [span for span in spans if {"use", "result"} <= span.attributes.keys()]
        inside = {(one.parent_id, one.attributes["use"]) for one in said if one.kind == "cache"}
        for span in said:
            use = span.attributes["use"]
            if span.kind == "cache" or (span.span_id, use) not in inside:
                self._count(self.by_use.setdefault(use, RecordedUse(use)), span)

    def _count(self, found: RecordedUse, span: Span) -> None:
        found.results[span.attributes["result"]] += 1
        found.saved_s += span.attributes.get("saved_ms", 0.0) / 1e3
        found.saved_usd += span.attributes.get("saved_usd", 0.0)
