"""What recording a span costs from start to finish, both of its events included.

The span is one as a step opens it: phase and dependencies, and one attribute
learnt on the way. A listener keeps the events; without one, none are made.
"""

from __future__ import annotations

from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING

from bench.harness import OURS, Case
from hasten.clock import Clock
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.recorder import Recorder, enter_run, span

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "Trace: what recording costs"

SPANS = 1_000


def cases() -> list[Case]:
    """Return what is measured."""

    def runner(*, has_listener: bool) -> Callable[[], float]:
        return lambda: copy_context().run(span_us, has_listener=has_listener)

    return [
        Case("span, a listener", "µs a span", {OURS: runner(has_listener=True)}, goal=10),
        Case("span, nobody listens", "µs a span", {OURS: runner(has_listener=False)}, goal=10),
    ]


def span_us(*, has_listener: bool) -> float:
    """Return the microseconds of one span, the mean over a run of ``SPANS``."""
    recorder = new_recorder()
    heard: list[RunEvent] = []
    if has_listener:
        recorder.listeners.append(heard.append)
    enter_run(recorder)
    started_s = perf_counter()
    for _ in range(SPANS):
        with span("step", "rank", phase="research", after=["ideas"]) as here:
            here.set(attempts=1)
    return (perf_counter() - started_s) / SPANS * 1e6


def new_recorder() -> Recorder:
    """Make a recorder of a run on the real clock."""
    clock = Clock()
    return Recorder(
        RunRecord(
            run_id="r1",
            app="bench",
            graph="bench",
            mode="",
            tenant="local",
            user="local",
            clock="real",
            speed=1.0,
            simulated=True,
            started_s=clock.now(),
        ),
        clock,
    )
