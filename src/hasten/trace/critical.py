"""The critical path of one run, and what each phase adds to it.

Owns the backward walk over a tree of spans that work side by side, after the
one CRISP describes (Zhang et al., "CRISP: Critical Path Analysis of
Large-Scale Microservice Architectures", USENIX ATC 2022): from the end, the
child that finished last is on the path, then the one that finished last before
that one began, and so on inside each. Leaves how late a span off the path
could have been to ``slack``, and many runs to ``report``.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.trace.tree import Trace

OVERHEAD = "overhead"
"""What no phase accounts for: the time between steps, and everything outside them."""


class Segment(msgspec.Struct, frozen=True):
    """A stretch of the critical path: from ``start_s`` to ``end_s`` the run waited for ``span``.

    It waited for ``span`` itself, not for a child of it. Seconds since the Unix epoch.
    """

    span: Span
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its seconds."""
        return self.end_s - self.start_s


def critical_path(trace: Trace) -> list[Segment]:
    """Return the critical path: segments in time order that cover the run without gap or overlap.

    A span that names another in ``after`` or ``missed`` waited for it; if that
    other one went on longer (a soft dependency past its deadline), it is on the
    path up to where the waiting ended.
    """
    found: list[Segment] = []
    _walk(trace, trace.root, trace.start_s, trace.end_s, found)
    found.reverse()
    return found


def _walk(trace: Trace, span: Span, start_s: float, end_s: float, found: list[Segment]) -> None:
    """Add the segments of ``span`` between the two times, the last one first."""
    left = _Siblings(trace, span, start_s)
    waited: list[str] = []
    while end_s > start_s:
        child, child_end_s = left.last_before(end_s, waited)
        own_from_s = start_s if child is None else child_end_s
        if own_from_s < end_s:
            found.append(Segment(span, own_from_s, end_s))
        if child is None:
            return
        end_s = max(child.start_s, start_s)
        _walk(trace, child, end_s, child_end_s, found)
        waited = waited_for(child)


def waited_for(span: Span) -> list[str]:
    """Return the names of what ``span`` waited for, whether it came or was missed."""
    return [*span.attributes.get("after", ()), *span.attributes.get("missed", ())]


class _Siblings:
    """The children of one span, asked backwards in time who finished last."""

    def __init__(self, trace: Trace, span: Span, start_s: float) -> None:
        self._end_of = trace.end_of
        self._by_end: list[Span] = []
        self._by_name: dict[str, list[Span]] = {}
        self._instant: dict[str, list[str]] = {}
        for child in trace.children(span):
            if trace.end_of(child) > max(child.start_s, start_s):
                self._by_end.append(child)
                self._by_name.setdefault(child.name, []).append(child)
            else:
                self._instant.setdefault(child.name, []).extend(waited_for(child))
        self._by_end.sort(key=lambda child: (trace.end_of(child), child.span_id))

    def last_before(self, cursor_s: float, waited: list[str]) -> tuple[Span | None, float]:
        """Return who finished last by ``cursor_s`` and when, those in ``waited`` cut off there."""
        by_end = self._by_end
        while by_end and self._end_of(by_end[-1]) > cursor_s:
            by_end.pop()
        best, best_s = (by_end[-1], self._end_of(by_end[-1])) if by_end else (None, -inf)
        for name in self._through_instants(waited):
            for child in self._by_name.get(name, ()):
                end_s = min(self._end_of(child), cursor_s)
                if child.start_s < cursor_s and end_s >= best_s:
                    best, best_s = child, end_s
        return best, best_s

    def _through_instants(self, waited: list[str]) -> list[str]:
        """Add what the work that took no time had waited for, since it is never on the path."""
        names = list(dict.fromkeys(waited))
        seen = set(names)
        for name in names:
            more = [one for one in self._instant.get(name, ()) if one not in seen]
            seen.update(more)
            names.extend(more)
        return names


class Breakdown(msgspec.Struct, frozen=True):
    """Where a run's time went, in whole microseconds: the parts and ``overhead_us`` are the total.

    ``parts_us`` holds every phase of the run in the order they began; one that
    was never on the critical path has 0.
    """

    total_us: int
    parts_us: dict[str, int]
    overhead_us: int

    def in_ms(self) -> dict[str, int]:
        """Return the phases and ``overhead`` in whole milliseconds that add up to ``total_ms``."""
        return whole_parts({**self.parts_us, OVERHEAD: self.overhead_us}, self.total_ms)

    def in_percent(self) -> dict[str, int]:
        """Return the phases and ``overhead`` in whole percent that add up to 100."""
        return whole_parts({**self.parts_us, OVERHEAD: self.overhead_us}, 100)

    @property
    def total_ms(self) -> int:
        """The run's whole milliseconds."""
        return round(self.total_us / 1e3)


def breakdown(trace: Trace) -> Breakdown:
    """Return how long each phase held the critical path; the rest is overhead."""
    parts_us = dict.fromkeys(trace.phases(), 0)
    parts_us.pop(OVERHEAD, None)
    total_us = _since_us(trace, trace.end_s)
    for segment in critical_path(trace):
        phase = trace.phase_of(segment.span)
        if phase is not None and phase != OVERHEAD:
            parts_us[phase] += _since_us(trace, segment.end_s) - _since_us(trace, segment.start_s)
    return Breakdown(total_us, parts_us, total_us - sum(parts_us.values()))


def _since_us(trace: Trace, at_s: float) -> int:
    return round((at_s - trace.start_s) * 1e6)


def whole_parts(parts: Mapping[str, int], total: int) -> dict[str, int]:
    """Scale ``parts`` to whole numbers that add up to ``total`` exactly.

    By the largest remainder (Hamilton's method): each is rounded down, and what
    is missing goes to those that lost most. All zeros when there is nothing to scale.
    """
    whole = sum(parts.values())
    if whole == 0:
        return dict.fromkeys(parts, 0)
    scaled = {name: divmod(part * total, whole) for name, part in parts.items()}
    rounded = {name: part for name, (part, _) in scaled.items()}
    by_loss = sorted(scaled, key=lambda name: scaled[name][1], reverse=True)
    for name in by_loss[: total - sum(rounded.values())]:
        rounded[name] += 1
    return rounded
