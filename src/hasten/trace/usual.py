"""How long the steps of a run usually take: what an ETA is learnt from.

Owns ``UsualSteps``. Leaves making an ETA of it to ``graph/progress``. ``wire`` asks
before it starts a run.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from hasten.errors import StoreError
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from hasten.clock import Clock
    from hasten.trace.log import Sink

ETA_RUNS = 20
"""How many past runs of the same kind an ETA is learnt from."""


class UsualSteps:
    """The median seconds of each step in past runs, remembered until ``forget``."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._found: dict[RunFilter, dict[str, float]] = {}

    async def of(self, app: str, mode: str, clock: Clock, *, simulated: bool) -> dict[str, float]:
        """Return them for runs of one kind; nothing while the sink cannot be asked."""
        which = RunFilter(
            app=app,
            mode=mode,
            clock=clock.kind,
            speed=clock.speed,
            simulated=simulated,
            status="complete",
            limit=ETA_RUNS,
        )
        if which not in self._found:
            try:
                durations = await self._sink.step_durations(which)
            except StoreError:
                return {}
            usual_s = {name: statistics.median(found) for name, found in durations.items()}
            self._found[which] = usual_s
        return self._found[which]

    def forget(self) -> None:
        """Learn anew: a run has ended."""
        self._found.clear()
