"""A run as rows of bars, for whoever draws it.

Owns which rows there are, in what order, and where on the time line each bar
lies, as fractions; leaves characters and colours to ``cli`` and pixels to the
console.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hasten.trace.critical import critical_path
from hasten.trace.span import SpanKind, SpanStatus

if TYPE_CHECKING:
    from hasten.trace.span import Span
    from hasten.trace.tree import Trace

_MINUTE_S = 60


class WaterfallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One bar. ``start`` and ``width`` are shares of the time line, 0 to 1 together.

    ``depth`` counts from the root's 0. ``is_critical`` is true when the critical path goes
    through the span or something inside it; ``is_hit`` when a cache answered.
    """

    span_id: int
    name: str
    kind: SpanKind
    status: SpanStatus
    phase: str | None
    depth: int
    start: float
    width: float
    label: str
    is_critical: bool
    is_hit: bool


def waterfall(
    trace: Trace, *, scale_s: float | None = None, max_depth: int | None = None
) -> list[WaterfallRow]:
    """Return the run's bars, parents before their children, siblings by their start.

    ``scale_s`` is the length of the time line, by default the run's: two runs
    are drawn to one scale by giving both the longer one's. Spans deeper than
    ``max_depth`` are left out.
    """
    length_s = scale_s or trace.duration_s
    on_path = _on_path(trace)
    return [
        _row(trace, span, depth, length_s, is_critical=span.span_id in on_path)
        for span, depth in trace.walk()
        if max_depth is None or depth <= max_depth
    ]


def _on_path(trace: Trace) -> set[int]:
    """Return the ids of the spans on the critical path and of those around them."""
    found: set[int] = set()
    for segment in critical_path(trace):
        span: Span | None = segment.span
        while span is not None and span.span_id not in found:
            found.add(span.span_id)
            span = trace.parent(span)
    return found


def _row(
    trace: Trace, span: Span, depth: int, length_s: float, *, is_critical: bool
) -> WaterfallRow:
    end_s = trace.end_of(span)
    start = _share(span.start_s - trace.start_s, length_s)
    is_hit = bool(span.attributes.get("cache_hit"))
    return WaterfallRow(
        span_id=span.span_id,
        name=span.name,
        kind=span.kind,
        status=span.status,
        phase=trace.phase_of(span),
        depth=depth,
        start=start,
        width=_share(end_s - trace.start_s, length_s) - start,
        label=_label(span, end_s - span.start_s, is_hit=is_hit),
        is_critical=is_critical,
        is_hit=is_hit,
    )


def _share(at_s: float, length_s: float) -> float:
    return min(max(at_s / length_s, 0.0), 1.0) if length_s else 0.0


def _label(span: Span, duration_s: float, *, is_hit: bool) -> str:
    parts = [duration_label(duration_s)]
    if is_hit:
        parts.append("cached")
    if span.status != "ok":
        parts.append(span.status)
    return " · ".join(parts)


def duration_label(seconds: float) -> str:
    """Return a duration for people: ``450 ms``, ``18.3 s``, ``2 min 05 s``."""
    if round(seconds, 3) < 1:
        return f"{seconds * 1e3:.0f} ms"
    if round(seconds, 1) < _MINUTE_S * 2:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest_s:02d} s"
