"""Progress events: how far a run is, what it does now, and when it should end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hasten.graph.progress import PROGRESS_EVERY_S
from hasten.graph.step import step
from tests.graph.common import graph, pause, run

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


def told(events: list[RunEvent]) -> list[dict[str, Any]]:
    """Return what each progress event says, with the second it was said at."""
    return [
        {"at_s": round(event.at_s - events[0].at_s, 3), **event.data}
        for event in events
        if event.type == "progress"
    ]


@step(label="Reading the menu", phase="research")
async def read() -> int:
    """Take a second."""
    await pause(1)
    return 1


@step
async def last(read: int) -> int:
    """Take three seconds."""
    await pause(3)
    return read


def test_progress_tells_the_newest_step_by_its_label() -> None:
    """At each change, and whole at the end."""
    events: list[RunEvent] = []
    run(graph(read, last), listeners=(events.append,), expected_s={"read": 1.5, "last": 3})
    assert told(events) == [
        {
            "at_s": 0,
            "progress": 0,
            "eta_ms": 4500,
            "current_step": "Reading the menu",
            "phase": "research",
        },
        {"at_s": 1, "progress": 0.5, "eta_ms": 3000, "current_step": "last", "phase": ""},
        {"at_s": 4, "progress": 1, "eta_ms": 0, "current_step": "", "phase": ""},
    ]


@pytest.mark.parametrize("expected_s", [{}, {"read": 1.0}])
def test_the_eta_is_null_rather_than_a_guess(expected_s: dict[str, float]) -> None:
    """Without a history, or with a gap in it."""
    events: list[RunEvent] = []
    run(graph(read, last), listeners=(events.append,), expected_s=expected_s)
    assert [one["eta_ms"] for one in told(events)] == [None, None, 0]


def test_progress_is_told_seldom_but_the_last_word_is_never_lost() -> None:
    """Many changes within a moment become one event at its end, true at that time."""

    async def work() -> int:
        await pause(0.001)
        return 1

    quick = [
        step(name=f"s{number}", needs=(f"s{number - 1}",) if number else ())(_chained(work))
        for number in range(50)
    ]

    @step(name="last")
    async def long(s49: int) -> int:
        await pause(9)
        return s49

    events: list[RunEvent] = []
    run(graph(*quick, long), listeners=(events.append,))
    said = [(one["at_s"], one["current_step"]) for one in told(events)]
    assert said == [(0, "s0"), (PROGRESS_EVERY_S, "last"), (9.05, "")]


def _chained(work: Any) -> Any:
    async def chained(**_inputs: object) -> int:
        return int(await work())

    return chained


def test_a_run_that_fails_does_not_claim_to_be_done() -> None:
    """Its last progress is where it was."""

    @step(name="last")
    async def broken() -> int:
        await pause(1)
        raise ValueError

    events: list[RunEvent] = []
    run(graph(broken), listeners=(events.append,))
    assert [one["progress"] for one in told(events)] == [0]


def test_a_listener_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the others are told all the same."""

    def broken(_event: RunEvent) -> None:
        message = "deaf"
        raise RuntimeError(message)

    events: list[RunEvent] = []
    outcome = run(graph(read, last), listeners=(broken, events.append))
    assert outcome.status == "complete"
    assert events[-1].type == "run.finished"
    assert "a listener failed on run.started" in caplog.text
