"""A trace: one run's spans as a tree, every one of them with an end.

Owns what is derived from a single span and its place in the tree: its end, its
own time, its phase. Leaves the critical path to ``critical``, slack to
``slack``, sums to ``phase`` and many runs to ``report``. All of these, the
exports and the waterfall are made from a ``Trace``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hasten.trace.event import RunRecord


class Trace:
    """The spans of ``run``, in the order they were opened; ``root`` is the run's own.

    A span that is still open, because the run is or its process died, is taken
    to last until ``now_s``, by default the last moment any span tells of. One
    whose parent is missing hangs below the root; without any root, one is made
    from the run's line.
    """

    def __init__(
        self, run: RunRecord, spans: Sequence[Span], *, now_s: float | None = None
    ) -> None:
        self.run = run
        self.spans = sorted(spans, key=lambda span: span.span_id)
        self.root = next((span for span in self.spans if span.parent_id is None), None) or Span(
            0, None, "run", run.graph, run.started_s, run.ended_s
        )
        known_s = [run.ended_s, now_s, *(span.end_s for span in self.spans)]
        starts_s = [self.root.start_s, *(span.start_s for span in self.spans)]
        self._last_s = max([*starts_s, *(end_s for end_s in known_s if end_s is not None)])
        self._children: dict[int, list[Span]] = {self.root.span_id: []}
        self._by_id = {self.root.span_id: self.root}
        self._parents: dict[int, Span] = {}
        self._phases: dict[int, str | None] = {self.root.span_id: _own_phase(self.root)}
        for span in self.spans:
            if span is not self.root:
                self._place(span)

    def _place(self, span: Span) -> None:
        above = span.parent_id
        # A span opens after its parent; any other parent would make the tree a circle.
        is_known = above is not None and above < span.span_id and above in self._children
        parent_id = above if above is not None and is_known else self.root.span_id
        parent = self._by_id[parent_id]
        self._parents[span.span_id] = parent
        self._children[parent_id].append(span)
        self._children[span.span_id] = []
        self._by_id[span.span_id] = span
        phase = _own_phase(span) or self._phases[parent_id]
        self._phases[span.span_id] = phase or (span.name if span.kind == "step" else None)

    @property
    def start_s(self) -> float:
        """When the run started, in seconds since the Unix epoch."""
        return self.root.start_s

    @property
    def end_s(self) -> float:
        """When the run ended, in seconds since the Unix epoch."""
        return self.end_of(self.root)

    @property
    def duration_s(self) -> float:
        """Seconds from the run's start to its end."""
        return self.end_s - self.start_s

    def end_of(self, span: Span) -> float:
        """Return when ``span`` ended; never before it started."""
        end_s = self._last_s if span.end_s is None else span.end_s
        return max(end_s, span.start_s)

    def children(self, span: Span) -> list[Span]:
        """Return the spans opened directly below ``span``, in that order."""
        return self._children[span.span_id]

    def parent(self, span: Span) -> Span | None:
        """Return the span around ``span``; ``None`` for the root."""
        return self._parents.get(span.span_id)

    def walk(self) -> Iterator[tuple[Span, int]]:
        """Yield every span with its depth, parents first, siblings by their start."""
        pending = [(self.root, 0)]
        while pending:
            span, depth = pending.pop()
            yield span, depth
            below = sorted(self.children(span), key=lambda one: (one.start_s, one.span_id))
            pending += [(one, depth + 1) for one in reversed(below)]

    def phase_of(self, span: Span) -> str | None:
        """Return the phase ``span`` belongs to.

        Its own ``phase``, or that of the nearest span around it that has one; a
        step without either is a phase of its own. ``None`` is the run's overhead.
        """
        return self._phases[span.span_id]

    def phases(self) -> list[str]:
        """Return the phases of this run in the order their first span started."""
        found = sorted(self.spans, key=lambda span: (span.start_s, span.span_id))
        return list(dict.fromkeys(phase for span in found if (phase := self.phase_of(span))))


def _own_phase(span: Span) -> str | None:
    return span.attributes.get("phase") or None
