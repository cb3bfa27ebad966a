"""A recorder for tests of single calls: what ``graph/run`` sets up for a whole run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hasten.clock import current_clock
from hasten.trace.event import RunRecord
from hasten.trace.recorder import Recorder, enter_run

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Make the block part of a run of its own and give its recorder."""
    clock = current_clock()
    run = RunRecord(
        run_id="run_1",
        app="test",
        graph="test",
        mode="hasten",
        tenant="local",
        user="local",
        clock=clock.kind,
        speed=clock.speed,
        simulated=True,
        started_s=clock.now(),
    )
    recorder = Recorder(run, clock)
    enter_run(recorder)
    yield recorder
