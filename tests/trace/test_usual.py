"""What an ETA is learnt from: asked of the sink once, then added to by the runs of here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hasten.clock import Clock
from hasten.errors import StoreUnavailable
from hasten.trace import usual
from hasten.trace.log import MemorySink, RunFilter
from hasten.trace.span import Span
from hasten.trace.usual import ETA_RUNS, UsualSteps
from tests.trace.making import run_of

if TYPE_CHECKING:
    import pytest


class CountingSink(MemorySink):
    """Counts how often it is asked; ``is_gone`` lets it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.is_gone = False

    async def step_durations(self, which: RunFilter) -> dict[str, list[float]]:
        """Count, or fail."""
        self.asked += 1
        if self.is_gone:
            message = "gone"
            raise StoreUnavailable(message)
        return await super().step_durations(which)


def spans_of(**took_s: float) -> list[Span]:
    """Return the spans of a run whose steps took so long."""
    steps = enumerate(took_s.items(), 2)
    return [Span(1, None, "run", "report", 0.0, 9.0, "ok")] + [
        Span(number, 1, "step", name, 0.0, length_s, "ok") for number, (name, length_s) in steps
    ]


def asked_of(steps: UsualSteps, speed: float = 1.0) -> dict[str, float]:
    """Return what is usual of the runs that ``run_of`` makes."""
    return asyncio.run(steps.of("discovery", "hasten", Clock(speed=speed), simulated=True))


def test_the_runs_of_here_are_added_without_asking_again() -> None:
    """Each moves the median; what is older than ``ETA_RUNS`` counts no more."""
    sink = CountingSink()
    run = run_of(clock="real", llm_calls=1)
    asyncio.run(sink.save(run, (), spans_of(write=4.0, check=1.0)))
    steps = UsualSteps(sink)
    assert asked_of(steps) == {"write": 4.0, "check": 1.0}
    steps.add(run, spans_of(write=2.0, send=0.5))
    assert asked_of(steps) == {"write": 3.0, "check": 1.0, "send": 0.5}
    for _ in range(ETA_RUNS):
        steps.add(run, spans_of(write=8.0))
    assert asked_of(steps)["write"] == 8.0
    assert sink.asked == 1


def test_only_what_was_computed_and_ended_well_is_learnt() -> None:
    """The cache's take no time, a failed run says nothing, nor does a run of another kind."""
    steps = UsualSteps(sink := CountingSink())
    assert asked_of(steps) == {}
    hit = Span(2, 1, "step", "write", 0.0, 0.001, "ok", {"cache_hit": "memory"})
    steps.add(run_of(clock="real"), [hit])
    steps.add(run_of(clock="real", status="failed"), spans_of(write=4.0))
    steps.add(run_of(clock="real", speed=7.0), spans_of(write=4.0))
    assert asked_of(steps) == {}
    assert sink.asked == 1


def test_a_sink_that_is_gone_is_asked_again() -> None:
    """Nothing is usual meanwhile."""
    sink = CountingSink()
    steps, sink.is_gone = UsualSteps(sink), True
    assert asked_of(steps) == {}
    sink.is_gone = False
    asyncio.run(sink.save(run_of(clock="real", llm_calls=1), (), spans_of(write=4.0)))
    assert asked_of(steps) == {"write": 4.0}


def test_so_many_kinds_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who asks for every speed there is takes no more memory."""
    monkeypatch.setattr(usual, "KINDS", 3)
    steps = UsualSteps(sink := CountingSink())
    for speed in (1.0, 2.0, 3.0, 4.0, 4.0):
        asked_of(steps, speed)
    assert (sink.asked, len(steps._latest), len(steps._usual)) == (4, 3, 3)
    asked_of(steps, 1.0)
    assert sink.asked == 5
