"""What recording costs: microseconds for a span from start to finish, the goal is 10 at most.

A span as a step opens it (phase and dependencies, one attribute learnt on the
way), both of its events included, with a listener that keeps them and with
none. Run it with ``.venv/bin/python bench/trace.py``; it prints JSON.
"""

from __future__ import annotations

import contextvars
import json
import statistics
import time

from hasten.clock import Clock
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.recorder import Recorder, enter_run, span

GOAL_US = 10
SPANS = 1_000
ROUNDS = 200


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


def span_us(*, has_listener: bool) -> float:
    """Return the microseconds of one span, the mean over a run of ``SPANS``."""
    recorder = new_recorder()
    heard: list[RunEvent] = []
    if has_listener:
        recorder.listeners.append(heard.append)
    enter_run(recorder)
    started_s = time.perf_counter()
    for _ in range(SPANS):
        with span("step", "rank", phase="research", after=["ideas"]) as here:
            here.set(attempts=1)
    return (time.perf_counter() - started_s) / SPANS * 1e6


def median_us(*, has_listener: bool) -> float:
    """Return the median over ``ROUNDS`` runs, each in a context of its own."""
    found = [
        contextvars.copy_context().run(span_us, has_listener=has_listener) for _ in range(ROUNDS)
    ]
    return round(statistics.median(found), 2)


def main() -> None:
    """Measure and print."""
    found = {
        "span_us": median_us(has_listener=True),
        "span_without_listener_us": median_us(has_listener=False),
        "goal_us": GOAL_US,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
