"""How a run ends: deadlines, cancellation, steps that will not stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from math import inf
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.errors import DeadlineExceeded, RunCancelled
from hasten.graph.attempt import CANCEL_AGAIN_S
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.rerun import RERUN
from hasten.graph.run import CANCEL_TIMES
from hasten.graph.step import Soft, step
from hasten.trace.log import MemorySink
from tests.graph.common import graph, pause, run

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


def test_a_deadline_ends_the_run() -> None:
    """With what is ready; the rest is cancelled and said to be late."""

    @step
    async def quick() -> int:
        return 1

    @step
    async def last(quick: int) -> int:
        await pause(100)
        return quick

    outcome = run(graph(quick, last, outputs=("quick", "last"), deadline_s=10), deadline_s=20)
    assert outcome.status == "failed"
    assert isinstance(outcome.error, DeadlineExceeded)
    assert "within 10 s" in str(outcome.error)
    assert outcome.outputs == {"quick": 1}
    assert outcome.record.duration_s == pytest.approx(10)
    assert {span.name: span.status for span in outcome.spans} == {
        "tested": "failed",
        "quick": "ok",
        "last": "cancelled",
    }


def test_a_step_that_settles_at_the_deadline() -> None:
    """Either order of the two is an end, and only one."""

    @step
    async def last() -> int:
        await pause(10)
        return 1

    statuses = set()
    for seed in range(20):
        events: list[RunEvent] = []
        outcome = run(graph(last), seed=seed, deadline_s=10, listeners=(events.append,))
        statuses.add(outcome.status)
        assert [event.type for event in events].count("run.finished") == 1
        assert (outcome.status == "failed") == isinstance(outcome.error, DeadlineExceeded)
    assert statuses <= {"complete", "failed"}


@pytest.mark.parametrize("wait_s", [None, 0.0, 1.0])
def test_cancelling_a_run(wait_s: float | None) -> None:
    """Before its first step, at once, or later: cancelled, and no step is left."""

    @step
    async def last() -> int:
        await pause(100)
        return 1

    async def main() -> Outcome:
        started = graph(last).start({})
        if wait_s is not None:
            await pause(wait_s)
        started.cancel()
        outcome = await started.outcome()
        started.cancel()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcome

    outcome = virtual.run(main())
    assert outcome.status == "cancelled"
    assert isinstance(outcome.error, RunCancelled)
    assert wait_s is not None or len(outcome.spans) == 1
    with pytest.raises(RunCancelled):
        outcome.value()


def test_cancelling_the_caller_of_graph_run_cancels_the_run() -> None:
    """But cancelling one who waits for an outcome does not."""

    @step
    async def last() -> int:
        await pause(10)
        return 1

    async def main() -> None:
        events: list[RunEvent] = []
        of = graph(last)
        caller = asyncio.ensure_future(of.run({}, options=RunOptions(listeners=(events.append,))))
        await pause(1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert events[-1].data["status"] == "cancelled"

        started = of.start({})
        waiter = asyncio.ensure_future(started.outcome())
        await pause(1)
        waiter.cancel()
        assert (await started.outcome()).status == "complete"

    virtual.run(main())


def test_a_closing_loop_ends_the_run() -> None:
    """Every task is cancelled at once, the run's own among them; it still ends and is stored."""
    sink = MemorySink()
    ids: list[str] = []

    @step
    async def last() -> int:
        await pause(10)
        return 1

    async def main() -> None:
        started = graph(last).start({}, options=RunOptions(sink=sink))
        ids.append(started.run_id)
        await pause(1)

    virtual.run(main())
    stored = asyncio.run(sink.run(ids[0]))
    assert stored.status == "cancelled"
    assert asyncio.run(sink.events(ids[0]))[-1].type == "run.finished"


@pytest.mark.parametrize("swallows", [2, CANCEL_TIMES - 1])
def test_a_step_that_swallows_its_cancellation_is_cancelled_again(swallows: int) -> None:
    """So often that the run ends without it, within the grace."""

    @step
    async def last() -> int:
        for _ in range(swallows):
            with contextlib.suppress(asyncio.CancelledError):
                await pause(100)
        await pause(100)
        return 1

    async def main() -> Outcome:
        outcome = await graph(last, deadline_s=1).run({})
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcome

    took_s = virtual.run(main()).record.duration_s
    assert took_s == pytest.approx(1 + swallows * CANCEL_AGAIN_S)


def test_a_step_that_never_stops_is_named_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """The run ends all the same."""
    is_over = False

    @step
    async def last() -> int:
        while not is_over:
            with contextlib.suppress(asyncio.CancelledError):
                await pause(100)
        return 1

    async def main() -> Outcome:
        nonlocal is_over
        outcome = await graph(last, deadline_s=1).run({})
        is_over = True
        return outcome

    outcome = virtual.run(main())
    assert outcome.record.duration_s == pytest.approx(1 + CANCEL_TIMES * CANCEL_AGAIN_S)
    assert "steps ignore cancellation: last" in caplog.text


def test_what_an_unneeded_step_does_while_it_is_stopped_does_not_matter() -> None:
    """The answer was there; its error does not degrade it."""

    @step
    async def extra() -> int:
        try:
            await pause(100)
        finally:
            raise ValueError
        return 1

    @step(soft_wait_s=inf)
    async def middle(extra: Soft[int]) -> int | None:
        return extra

    @step
    async def last(middle: Soft[int]) -> str:
        return str(middle)

    @step
    async def other() -> int:
        return 2

    outcome = run(graph(extra, middle, last, other, outputs=("other", "last"), optional=("last",)))
    assert outcome.outputs == {"other": 2, "last": "None"}
    assert outcome.degraded_by == ("last: without middle",)


@pytest.mark.parametrize("end", ["complete", "degraded", "failed", "cancelled", "deadline"])
def test_a_run_that_ended_is_freed_without_the_collector(end: str) -> None:
    """A busy server has thousands before the collector comes; each holds all its events."""

    @step
    async def aside() -> str:
        await pause(50 if end == "degraded" else 1)
        return "aside"

    @step(soft_wait_s=2, timeout_s=30)
    async def last(aside: Soft[str]) -> str:
        await pause(10)
        if end == "failed":
            raise ZeroDivisionError
        return str(aside)

    async def main() -> tuple[str, bool]:
        async with Cache() as cache:
            options = RunOptions(
                cache=cache,
                rerun=RERUN,
                sink=MemorySink(),
                deadline_s=5 if end == "deadline" else None,
                expected_s={"last": 10.0},
            )
            started = graph(aside, last).start({}, options=options)
            await pause(4)
            if end == "cancelled":
                started.cancel()
            status = (await started.outcome()).status
            run = weakref.ref(started)
            del started
            await pause(100)
            return status, run() is None

    gc.collect()
    gc.disable()
    try:
        status, is_freed = virtual.run(main())
    finally:
        gc.enable()
    assert (status, is_freed) == ("failed" if end == "deadline" else end, True)
