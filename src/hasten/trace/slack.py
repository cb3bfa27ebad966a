"""Slack: how much later each span of a run could have ended without making the run longer.

Owns the backward pass of the critical path method over siblings; leaves the
path itself to ``critical``. Two rules say what waited for what. A span with
``after`` waited for exactly the siblings it names, less those it ``missed``,
which held it up no longer than their deadline. A span without is taken to have
waited for every sibling that had ended when it began: the cautious reading, so
slack is never overstated. The time between the last of those ends and its own
start is taken as it was.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.span import Span
    from hasten.trace.tree import Trace


class Work(NamedTuple):
    """One of several siblings: ``after`` names those it waited for, ``None`` if it does not say."""

    name: str
    start_s: float
    end_s: float
    after: frozenset[str] | None = None


def slack_s(trace: Trace) -> dict[int, float]:
    """Return each span's slack in seconds by its ``span_id``; the root has 0.

    A span may be late by what its siblings allow, and by what its parent may be late.
    """
    found = {trace.root.span_id: 0.0}
    ends_s = {trace.root.span_id: trace.end_s}
    for span, _ in trace.walk():
        children = sorted(trace.children(span), key=lambda child: (child.start_s, child.span_id))
        works = [_work(trace, child, ends_s[span.span_id]) for child in children]
        for child, work, free_s in zip(children, works, free_among(works), strict=True):
            found[child.span_id] = free_s + found[span.span_id]
            ends_s[child.span_id] = work.end_s
    return found


def _work(trace: Trace, span: Span, until_s: float) -> Work:
    """Return a child as work within its parent's time; nobody waited for what came later."""
    after, missed = span.attributes.get("after"), span.attributes.get("missed", ())
    names = None if after is None else frozenset(after) - frozenset(missed)
    return Work(span.name, min(span.start_s, until_s), min(trace.end_of(span), until_s), names)


def free_among(works: Sequence[Work]) -> list[float]:
    """Return the slack of siblings, given by start, that together must end when they ended."""
    last_s = max((work.end_s for work in works), default=0.0)
    ready_s = _ready(works)
    starts_s = [work.start_s for work in works]
    free = [0.0] * len(works)
    # Until when work may last for those that name it, and for those from a position on that
    # waited for all that had ended.
    for_named: dict[str, float] = {}
    for_rest = [last_s] * (len(works) + 1)
    for position in reversed(range(len(works))):
        work = works[position]
        later = max(bisect_left(starts_s, work.end_s), position + 1)
        until_s = min(for_rest[later], for_named.get(work.name, last_s))
        free[position] = until_s - work.end_s
        ready_by_s = ready_s[position] + free[position]
        for_rest[position] = for_rest[position + 1]
        if work.after is None:
            for_rest[position] = min(for_rest[position], ready_by_s)
        for name in work.after or ():
            for_named[name] = min(for_named.get(name, last_s), ready_by_s)
    return free


def _ready(works: Sequence[Work]) -> list[float]:
    """Return for each when the last of what it waited for ended; infinite if for nothing."""
    ready_s: list[float] = []
    by_name: dict[str, float] = {}
    open_s: list[float] = []
    ended_s = float("inf")
    for work in works:
        while open_s and open_s[0] <= work.start_s:
            ended_s = heappop(open_s)
        named = [by_name[name] for name in work.after or () if name in by_name]
        ready_s.append(ended_s if work.after is None else max(named, default=float("inf")))
        by_name[work.name] = max(by_name.get(work.name, work.end_s), work.end_s)
        heappush(open_s, work.end_s)
    return ready_s
