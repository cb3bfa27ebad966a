"""Random graphs with every kind of trouble, on the virtual clock, against a naive oracle."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.errors import DeadlineExceeded
from hasten.graph.attempt import CANCEL_AGAIN_S
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.run import CANCEL_TIMES
from tests.properties.naive import ExpectedRun, expect
from tests.properties.random_graphs import RunPlan, build, draw

if TYPE_CHECKING:
    from hasten.graph.schedule import Result
    from hasten.trace.event import RunEvent

GRACE_S = CANCEL_AGAIN_S * CANCEL_TIMES


class Ran:
    """One random graph that was run: its plan, its outcome, its events, how its steps settled."""

    def __init__(self, seed: int) -> None:
        self.plan = draw(Random(seed))
        self.events: list[RunEvent] = []
        self.results: list[Result | None] = []
        self.outcome: Outcome = virtual.run(self._run(), seed=seed)

    async def _run(self) -> Outcome:
        options = RunOptions(listeners=(self.events.append,))
        started = build(self.plan).start({}, options=options)
        if self.plan.cancel_s is not None:
            asyncio.get_running_loop().call_later(self.plan.cancel_s, started.cancel)
        outcome = await started.outcome()
        order = [started.graph.position[step.name] for step in self.plan.steps]
        self.results = [started._schedule.result(one) for one in order]
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        return outcome


def check_any(ran: Ran) -> None:
    """Check what holds for every run: it ends in time, its tale is whole, soft means soft."""
    plan, outcome = ran.plan, ran.outcome
    assert outcome.record.duration_s <= plan.deadline_s + GRACE_S
    assert ran.events[0].type == "run.started"
    assert ran.events[-1].type == "run.finished"
    assert all(span.status != "running" for span in outcome.spans)
    opened = [event.span_id for event in ran.events if event.type == "span.started"]
    closed = [event.span_id for event in ran.events if event.type == "span.finished"]
    assert sorted(closed) == sorted([1, *opened])
    if outcome.status == "failed" and not isinstance(outcome.error, DeadlineExceeded):
        required = [one for one in plan.outputs if one not in plan.optional]
        names = {plan.steps[one].name for one in _behind(plan, required)}
        assert getattr(outcome.error, "step", None) in names


def _behind(plan: RunPlan, positions: list[int]) -> set[int]:
    """Return these steps and all that they need, hard inputs only."""
    found: set[int] = set()
    while positions:
        one = positions.pop()
        found.add(one)
        positions.extend(plan.steps[one].hard)
    return found


def check_limits(ran: Ran) -> None:
    """Check that no more steps of a limit group ran at once than it allows."""
    limited = {step.name for step in ran.plan.steps if step.limit}
    spans = [span for span in ran.outcome.spans if span.name in limited]
    changes = sorted(
        change for span in spans for change in ((span.start_s, 1), (span.end_s or 0.0, -1))
    )
    running = 0
    for _, change in changes:
        running += change
        assert running <= ran.plan.limits["few"]


def check_exactly(ran: Ran, expected: ExpectedRun) -> None:
    """Check the outcome, every step's times, values and taint against the oracle."""
    outcome, start_s = ran.outcome, ran.outcome.record.started_s
    assert outcome.status == expected.status
    assert isinstance(outcome.error, DeadlineExceeded) == expected.is_late
    assert outcome.outputs == expected.outputs
    over_s = expected.over_s
    assert over_s - 1e-6 <= outcome.record.duration_s <= over_s + GRACE_S
    spans = {span.name: span for span in outcome.spans[1:]}
    for step, want, result in zip(ran.plan.steps, expected.steps, ran.results, strict=True):
        span = spans.get(step.name)
        if want.begins_s != over_s:  # what begins in the run's last instant may or may not be seen
            assert (span is not None) == (want.begins_s < over_s), step.name
        if want.settles_s < over_s:
            assert result == want.result, step.name
        if span is not None:
            assert span.start_s - start_s == pytest.approx(want.begins_s, abs=1e-5)
            assert sorted(span.attributes.get("missed", ())) == sorted(want.missed)
        if span is not None and want.settles_s < over_s:
            assert span.duration_s == pytest.approx(want.settles_s - want.begins_s, abs=1e-5)


def check_seeds(seeds: range) -> None:
    """Check each seed's graph; a failure names the seed."""
    for seed in seeds:
        try:
            ran = Ran(seed)
            check_any(ran)
            if any(step.limit for step in ran.plan.steps):
                check_limits(ran)
            else:
                check_exactly(ran, expect(ran.plan))
            if seed % 10 == 0:
                assert Ran(seed).events == ran.events
        except BaseException as error:
            error.add_note(f"seed {seed}: {draw(Random(seed))}")
            raise


def test_random_graphs() -> None:
    """Two thousand of them, in seconds."""
    check_seeds(range(2_000))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_a_hundred_thousand_random_graphs(block: int) -> None:
    """In ten blocks, so that they spread over the workers."""
    check_seeds(range(block * 10_000, (block + 1) * 10_000))


def test_the_oracle_sees_a_wrong_run() -> None:
    """A run whose plan is changed behind the oracle's back is found out."""
    found = 0
    for seed in range(200):
        ran = Ran(seed)
        if any(step.limit for step in ran.plan.steps):
            continue
        other = draw(Random(seed + 1))
        if not any(step.limit for step in other.steps):
            ran.plan = other
            with pytest.raises((AssertionError, ValueError)):
                check_exactly(ran, expect(other))
            found += 1
    assert found > 50
