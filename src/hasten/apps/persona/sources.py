"""What is looked up for a persona besides SQL: market context, and a segment's figures.

Owns both and how long each takes. Figures are worked out from the five demographic
fields alone, as a survey of the segment would give them; they are illustrative.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hasten import current_clock
from hasten.apps.persona.answers import Demographics, Kpi
from hasten.apps.persona.board import market_context

if TYPE_CHECKING:
    from collections.abc import Mapping

LATENCY_S = {"context": 0.12, "kpi": 0.30}
"""Seconds for market context (ours) and for the figures (persona plan: 300 ms fresh)."""


class Sources:
    """Answers; ``latency_s`` is how long each kind of answer takes."""

    def __init__(self, latency_s: Mapping[str, float] | None = None) -> None:
        self._latency_s = latency_s or {}

    async def context(self, project_id: str, chars: int) -> str:  # noqa: ARG002 - there is one project of ours
        """Return at most ``chars`` characters on the project's market, up to a whole sentence."""
        await self._wait("context")
        text = market_context()
        return text if len(text) <= chars else text[: text.rfind(".", 0, chars) + 1]

    async def kpi(self, segment: Demographics) -> Kpi:
        """Return what the segment is worth."""
        await self._wait("kpi")
        seed = hashlib.sha256(segment.model_dump_json().encode()).digest()
        return Kpi(
            segment_size=1_000 + 40 * seed[0],
            conversion_rate_percent=round(1 + seed[1] / 64, 1),
            average_order_usd=round(20 + seed[2] / 2, 2),
            retention_12m_percent=round(40 + seed[3] / 6, 1),
            satisfaction=round(5 + seed[4] / 64, 1),
        )

    async def _wait(self, what: str) -> None:
        await current_clock().sleep(self._latency_s.get(what, 0.0))
