"""A run told from its own line, when the events that told it are gone.

Pure: a ``RunRecord`` in, events without numbers out. ``feed`` puts them where events are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.trace.event import RunEvent

if TYPE_CHECKING:
    from hasten.trace.event import RunRecord

_HEADLINE = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")


def started_of(run: RunRecord) -> RunEvent:
    """Return the event that said that ``run`` began."""
    data = {name: getattr(run, name) for name in _HEADLINE}
    return RunEvent(run.run_id, "run.started", run.started_s, data=data)


def ending_of(run: RunRecord, *, has_begun: bool) -> list[RunEvent]:
    """Return what is left to tell of a run that has ended: its outputs and its end.

    Its beginning, too, unless ``has_begun``.
    """
    at_s = run.ended_s or run.started_s
    outputs = [
        RunEvent(run.run_id, "output", at_s, data={"name": name, "phase": name, "value": value})
        for name, value in run.outputs.items()
    ]
    ended = {
        "status": run.status,
        "degraded_by": run.degraded_by,
        "error": run.error,
        "duration_ms": round(run.duration_s * 1e3),
        "reuse": run.reuse,
    }
    finished = RunEvent(run.run_id, "run.finished", at_s, data=ended)
    return [*([] if has_begun else [started_of(run)]), *outputs, finished]
