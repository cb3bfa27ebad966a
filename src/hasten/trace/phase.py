"""What each phase of one run took and used.

Owns the sums of spans that share a phase; leaves which phase a span belongs to
to ``tree`` and what a phase adds to the critical path to ``critical``. The text
log writes them, ``report`` and ``compare`` take them over many runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hasten.trace.critical import breakdown

if TYPE_CHECKING:
    from hasten.trace.critical import Breakdown
    from hasten.trace.span import Span
    from hasten.trace.tree import Trace


class PhaseTotals(msgspec.Struct, kw_only=True):
    """One phase of one run, from its first work to its last, in seconds since the Unix epoch.

    ``critical_ms`` is what it adds to the run's duration. ``tool_breakdown`` has
    the milliseconds of each tool by name, added up over its calls.
    ``cache_hits`` counts the spans that a cache answered.
    """

    phase: str
    start_s: float
    end_s: float
    critical_ms: float
    llm_calls: int = 0
    tool_calls: int = 0
    tool_breakdown: dict[str, float] = msgspec.field(default_factory=dict)
    cache_hits: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0

    @property
    def duration_ms(self) -> float:
        """Milliseconds from its first work to its last."""
        return (self.end_s - self.start_s) * 1e3


def phase_totals(trace: Trace, parts: Breakdown | None = None) -> list[PhaseTotals]:
    """Return the run's phases in the order they began; ``parts`` is its breakdown, if known.

    Everything below a span with a phase counts to it, and so do tools elsewhere
    in the run that name it, such as those started before their step.
    """
    found: dict[str, PhaseTotals] = {}
    parts_us = (parts or breakdown(trace)).parts_us
    for span in sorted(trace.spans, key=lambda span: (span.start_s, span.span_id)):
        phase, end_s = trace.phase_of(span), trace.end_of(span)
        if phase is None:
            continue
        if phase not in found:
            critical_ms = parts_us.get(phase, 0) / 1e3
            found[phase] = PhaseTotals(
                phase=phase, start_s=span.start_s, end_s=end_s, critical_ms=critical_ms
            )
        found[phase].end_s = max(found[phase].end_s, end_s)
        _add(found[phase], span, (end_s - span.start_s) * 1e3)
    return list(found.values())


def _add(totals: PhaseTotals, span: Span, duration_ms: float) -> None:
    attributes = span.attributes
    if span.kind == "tool":
        totals.tool_calls += 1
        before_ms = totals.tool_breakdown.get(span.name, 0.0)
        totals.tool_breakdown[span.name] = before_ms + duration_ms
    elif span.kind == "model":
        totals.llm_calls += 1
        totals.tokens_in += attributes.get("tokens_in", 0)
        totals.tokens_out += attributes.get("tokens_out", 0)
        totals.cost_usd += attributes.get("cost_usd", 0.0)
    if attributes.get("cache_hit"):
        totals.cache_hits += 1
