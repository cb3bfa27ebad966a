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
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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

    What a span names in ``after`` led to it, even if it ended a moment later.
    What it names in ``missed`` it waited for in vain: that is on the path from
    when its other inputs were there until it went on without.
    """
    found: list[Segment] = []
    _walk(trace, trace.root, trace.start_s, trace.end_s, found)
    found.reverse()
    return found


def _walk(trace: Trace, span: Span, start_s: float, end_s: float, found: list[Segment]) -> None:
    """Add the segments of ``span`` between the two times, the last one first."""
    left = _Siblings(trace, span, start_s)
    waiter: Span | None = None
    while end_s > start_s:
        held = left.last_before(end_s, waiter)
        own_from_s = start_s if held is None else held.end_s
        if own_from_s < end_s:
            found.append(Segment(span, own_from_s, end_s))
        if held is None:
            return
        end_s = max(held.start_s, start_s)
        _walk(trace, held.span, end_s, held.end_s, found)
        waiter = held.waiter


class _Held(NamedTuple):
    """The stretch for which ``span`` held up its siblings, and on whose behalf to go on back."""

    span: Span
    start_s: float
    end_s: float
    waiter: Span


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
                self._instant.setdefault(child.name, []).extend(child.attributes.get("after", ()))
        self._by_end.sort(key=lambda child: (trace.end_of(child), child.span_id))

    def last_before(self, cursor_s: float, waiter: Span | None) -> _Held | None:
        """Return who finished last by ``cursor_s``, when ``waiter`` began or the parent ended."""
        by_end = self._by_end
        while by_end and self._end_of(by_end[-1]) > cursor_s:
            by_end.pop()
        ended = self._whole(by_end[-1], cursor_s) if by_end else None
        if waiter is None:
            return ended
        names = self._through_instants(waiter.attributes.get("after", ()))
        needed = self._latest(names, cursor_s)
        last = max((one for one in (needed, ended) if one), key=lambda one: one.end_s, default=None)
        missed = self._latest(waiter.attributes.get("missed", ()), cursor_s)
        if missed is None or (last is not None and last.end_s >= missed.end_s):
            return last
        ready_s = -inf if needed is None else needed.end_s
        return missed._replace(start_s=max(missed.start_s, ready_s), waiter=waiter)

    def _whole(self, child: Span, cursor_s: float) -> _Held:
        return _Held(child, child.start_s, min(self._end_of(child), cursor_s), child)

    def _latest(self, names: Iterable[str], cursor_s: float) -> _Held | None:
        """Return which of the children of these names was last at work before ``cursor_s``."""
        begun = [
            self._whole(child, cursor_s)
            for name in names
            for child in self._by_name.get(name, ())
            if child.start_s < cursor_s
        ]
        return max(begun, key=lambda one: one.end_s, default=None)

    def _through_instants(self, names: Iterable[str]) -> Iterable[str]:
        """Add what the work that took no time had waited for, since it is never on the path."""
        found = list(names)
        seen = set(found)
        for name in found:
            more = [one for one in self._instant.get(name, ()) if one not in seen]
            seen.update(more)
            found.extend(more)
        return found


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
