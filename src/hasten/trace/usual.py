"""How long the steps of a run usually take: what an ETA is learnt from.

Owns ``UsualSteps``. Leaves making an ETA of it to ``graph/progress``. ``wire`` asks
before it starts a run, and tells it of each that has ended.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import TYPE_CHECKING

from hasten.errors import StoreError
from hasten.trace.log import RunFilter, tells_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hasten.clock import Clock
    from hasten.trace.event import RunRecord
    from hasten.trace.log import Sink
    from hasten.trace.span import Span

ETA_RUNS = 20
"""How many past runs of the same kind an ETA is learnt from."""

KINDS = 256
"""So many kinds of runs are remembered: application, mode, clock, speed; the last learnt."""


class UsualSteps:
    """The median seconds of each step in the latest runs of a kind.

    The sink is asked once for each kind; from then on this process's own runs are added.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._latest: dict[RunFilter, dict[str, deque[float]]] = {}
        self._usual: dict[RunFilter, dict[str, float]] = {}

    async def of(self, app: str, mode: str, clock: Clock, *, simulated: bool) -> dict[str, float]:
        """Return them for runs of one kind; nothing while the sink cannot be asked."""
        kind = _kind(app, mode, clock.kind, clock.speed, simulated=simulated)
        if kind not in self._latest:
            try:
                durations = await self._sink.step_durations(kind)
            except StoreError:
                return {}
            self._learn(kind, durations)
        return self._usual[kind]

    def add(self, run: RunRecord, spans: Iterable[Span]) -> None:
        """Learn from a run that has ended, if its kind was asked of: from what it computed."""
        kind = _kind(run.app, run.mode, run.clock, run.speed, simulated=run.simulated)
        if run.status != "complete" or kind not in self._latest:
            return
        latest, usual = self._latest[kind], self._usual[kind].copy()
        for span in filter(tells_duration, spans):
            found = latest.setdefault(span.name, deque(maxlen=ETA_RUNS))
            found.appendleft(span.duration_s)
            usual[span.name] = statistics.median(found)
        self._usual[kind] = usual

    def _learn(self, kind: RunFilter, durations: dict[str, list[float]]) -> None:
        while len(self._latest) >= KINDS:
            del self._usual[(oldest := next(iter(self._latest)))]
            del self._latest[oldest]
        self._latest[kind] = {
            name: deque(found, maxlen=ETA_RUNS) for name, found in durations.items()
        }
        self._usual[kind] = {name: statistics.median(found) for name, found in durations.items()}


def _kind(app: str, mode: str, clock: str, speed: float, *, simulated: bool) -> RunFilter:
    return RunFilter(
        app=app,
        mode=mode,
        clock=clock,
        speed=speed,
        simulated=simulated,
        status="complete",
        limit=ETA_RUNS,
    )
