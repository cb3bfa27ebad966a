"""How far a run is and when it should end, told while it goes on.

Owns the pace of the ``progress`` events and what they say. Leaves the estimate
itself to ``schedule`` and the last one, at a run's end, to ``run``, which calls it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from hasten.graph.alarm import AlarmClock
    from hasten.graph.graph import Graph
    from hasten.graph.schedule import Schedule
    from hasten.trace.recorder import Recorder

PROGRESS_EVERY_S = 0.1
"""Progress is told at most once in this time."""


class RunProgress:
    """Tells how far one run is, now or as soon as ``PROGRESS_EVERY_S`` allows.

    ``under_way`` are the positions of the steps that run, newest last, ``open_ends`` those
    of the outputs and effects still to come; both are the run's own and change under it.
    ``expected_s`` are the usual seconds of each step, without which there is no ETA. Whoever
    stops the ``alarms`` stops what is due here too.
    """

    def __init__(
        self,
        graph: Graph,
        schedule: Schedule,
        alarms: AlarmClock,
        expected_s: Mapping[str, float],
        under_way: dict[int, asyncio.Task[None]],
        open_ends: set[int],
        recorder: Recorder,
    ) -> None:
        self.settled_count = 0
        self._graph = graph
        self._schedule = schedule
        self._alarms = alarms
        self._expected_s = expected_s
        self._under_way = under_way
        self._open_ends = open_ends
        self._recorder = recorder
        self._is_due = False
        self._told_s = -inf

    def tell(self) -> None:
        """Emit a progress event now, or once for all that happens until it is due."""
        if self._is_due:
            return
        due_s = self._told_s + PROGRESS_EVERY_S
        if due_s > self._alarms.clock.monotonic():
            self._is_due = True
            self._alarms.at(due_s, self._tell_now)
        else:
            self._tell_now()

    def _tell_now(self) -> None:
        self._is_due = False
        if not self._under_way:
            return
        self._told_s = now_s = self._alarms.clock.monotonic()
        self._recorder.emit("progress", self._recorder.root.span_id, self._state(now_s))

    def _state(self, now_s: float) -> dict[str, Any]:
        eta_s = None
        if self._expected_s:
            eta_s = self._schedule.remaining_s(self._open_ends, self._expected_s, now_s)
        newest = self._graph.steps[next(reversed(self._under_way))]
        return {
            "progress": round(self.settled_count / len(self._graph.nodes), 3),
            "eta_ms": None if eta_s is None else round(eta_s * 1e3),
            "current_step": newest.policy.label or newest.name,
            "phase": newest.policy.phase,
        }
