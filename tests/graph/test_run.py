"""Runs: what starts when, what is handed on, and what is recorded."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.errors import GraphError, StepFailed
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.step import Soft, step
from hasten.trace.log import MemorySink
from tests.graph.common import Client, graph, pause, run

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


def test_steps_run_side_by_side_and_hand_on_their_values() -> None:
    """Two independent steps take the time of the longer; a third gets both values."""

    @step
    async def short(topic: str) -> str:
        await pause(1)
        return f"short {topic}"

    @step
    async def long(topic: str) -> str:
        await pause(3)
        return f"long {topic}"

    @step
    async def last(short: str, long: str) -> str:
        await pause(1)
        return f"{short}, {long}"

    outcome = run(graph(last, long, short))
    assert outcome.status == "complete"
    assert outcome.value() == {"last": "short tea, long tea"}
    assert outcome.record.duration_s == pytest.approx(4)
    assert outcome.degraded_by == ()
    assert next(span.name for span in outcome.spans) == "tested"
    assert outcome.spans[-1].attributes["after"] == ("short", "long")


def test_a_required_output_without_a_value_fails_the_run() -> None:
    """It ends at once, with the step's own error."""

    @step
    async def slow() -> int:
        await pause(100)
        return 1

    @step
    async def broken() -> int:
        await pause(1)
        message = "no luck"
        raise ValueError(message)

    @step
    async def last(slow: int, broken: int) -> int:
        return slow + broken

    outcome = run(graph(slow, broken, last))
    assert outcome.status == "failed"
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.step == "broken"
    assert isinstance(outcome.error.__cause__, ValueError)
    assert outcome.record.duration_s == pytest.approx(1)
    assert outcome.degraded_by == ("broken: no value: ValueError", "last: skipped: no broken")
    with pytest.raises(StepFailed, match="step 'broken' failed: no luck"):
        outcome.value()


def test_the_error_of_a_failed_run_is_the_one_that_failed_it() -> None:
    """An earlier failure that the run survived is not blamed."""

    @step
    async def nice() -> int:
        message = "survivable"
        raise ValueError(message)

    @step
    async def last(nice: Soft[int]) -> int:
        assert nice is None
        await pause(1)
        message = "fatal"
        raise ValueError(message)

    outcome = run(graph(nice, last))
    assert outcome.error is not None
    assert "fatal" in str(outcome.error)
    assert outcome.record.error == {
        "code": "step_failed",
        "message": "step 'last' failed: fatal",
    }


def test_an_optional_output_may_be_missing() -> None:
    """The rest is the answer, degraded by the name of what is missing."""

    @step
    async def extra() -> int:
        raise ValueError

    @step
    async def last(topic: str) -> str:
        await pause(1)
        return topic

    outcome = run(graph(extra, last, outputs=("extra", "last"), optional=("extra",)))
    assert outcome.status == "degraded"
    assert outcome.outputs == {"last": "tea"}
    assert outcome.degraded_by == ("extra: no value: ValueError",)


def test_outputs_come_in_the_declared_order() -> None:
    """Whichever was ready first."""

    @step
    async def slow() -> int:
        await pause(1)
        return 1

    @step
    async def quick() -> int:
        return 2

    assert list(run(graph(quick, slow, outputs=("slow", "quick"))).outputs) == ["slow", "quick"]


@pytest.mark.parametrize(
    ("wait_s", "answer", "took_s"), [(0.0, None, 4), (1.5, None, 5.5), (3.0, 7, 6), (inf, 7, 6)]
)
def test_a_soft_input_is_waited_for_until_its_deadline(
    wait_s: float, answer: int | None, took_s: float
) -> None:
    """Counted from the moment the hard inputs are there (2 s); the soft one takes 4 s."""

    @step
    async def hard() -> int:
        await pause(2)
        return 1

    @step
    async def extra() -> int:
        await pause(4)
        return 7

    @step(soft_wait_s=wait_s)
    async def last(hard: int, extra: Soft[int]) -> tuple[int, int | None]:
        await pause(2)
        return hard, extra

    outcome = run(graph(hard, extra, last))
    assert outcome.outputs["last"] == (1, answer)
    assert outcome.record.duration_s == pytest.approx(took_s)
    missed = answer is None
    assert outcome.status == ("degraded" if missed else "complete")
    assert outcome.degraded_by == (("last: without extra",) if missed else ())


def test_a_soft_deadline_is_met_behind_a_limit() -> None:
    """The wait ends in time even if the step then queues, and takes what came meanwhile."""

    @step(limit="one")
    async def busy() -> int:
        await pause(5)
        return 1

    @step
    async def extra() -> int:
        await pause(3)
        return 2

    @step(soft_wait_s=1, limit="one")
    async def last(extra: Soft[int]) -> int | None:
        return extra

    outcome = run(graph(busy, extra, last, outputs=("last", "busy"), limits={"one": 1}))
    assert outcome.outputs == {"last": 2, "busy": 1}
    assert outcome.status == "complete"
    assert outcome.record.duration_s == pytest.approx(5)


def test_a_limit_caps_what_runs_at_once() -> None:
    """Six steps of a second each, two at a time, take three."""
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await pause(1)
        running -= 1

    steps = [step(name=f"s{number}", limit="two")(work) for number in range(6)]
    outcome = run(graph(*steps, outputs=tuple(one.name for one in steps), limits={"two": 2}))
    assert (most, outcome.record.duration_s) == (2, pytest.approx(3))


def test_skipping_goes_on_from_step_to_step() -> None:
    """Everything behind a failure is skipped; the root of it is the run's error."""

    @step
    async def one() -> int:
        raise ValueError

    @step
    async def two(one: int) -> int:
        return one

    @step
    async def three(two: int) -> int:
        return two

    @step(soft_wait_s=inf)
    async def last(topic: str, three: Soft[int]) -> str:
        return f"{topic} {three}"

    soft = run(graph(one, two, three, last))
    assert soft.outputs == {"last": "tea None"}
    assert soft.degraded_by == (
        "one: no value: ValueError",
        "two: skipped: no one",
        "three: skipped: no two",
        "last: without three",
    )
    hard = run(graph(one, two, three, outputs=("three",)))
    assert isinstance(hard.error, StepFailed)
    assert hard.error.step == "one"


def test_a_graph_serves_many_runs_at_once() -> None:
    """Runs share the graph and nothing else."""

    @step
    async def first(topic: str) -> str:
        await pause(virtual.latency(0, 1))
        return topic

    @step
    async def last(first: str, topic: str) -> str:
        await pause(virtual.latency(0, 1))
        return f"{first} {topic}"

    of = graph(first, last)

    async def main() -> list[Outcome]:
        topics = [{"topic": str(number)} for number in range(50)]
        return await asyncio.gather(*(of.run(topic) for topic in topics))

    outcomes = virtual.run(main())
    assert [one.outputs["last"] for one in outcomes] == [f"{n} {n}" for n in range(50)]
    assert len({one.run_id for one in outcomes}) == 50


def test_resources_are_given_by_name_when_a_run_starts() -> None:
    """A declared one must be there; one for another graph is left aside."""

    @step
    async def last(scale: int, topic: str) -> str:
        return topic * scale

    of = graph(last, resources={"scale": int})

    async def main() -> Outcome:
        with pytest.raises(GraphError, match=r"'tested' needs \['scale'\]"):
            await of.run({})
        return await of.run({}, scale=2, topic="coffee")

    assert virtual.run(main()).outputs == {"last": "teatea"}


def test_log_fields_are_recorded_in_plain_form() -> None:
    """A value with no plain form shows as its type; other parameters never show."""

    @step(log_fields=("topic", "client"), phase="thinking")
    async def last(topic: str, client: Client, other: str = "hush") -> str:
        return f"{topic}{client}{other}"

    async def main() -> Outcome:
        return await graph(last, resources={"client": Client}).run({}, client=Client())

    attributes = virtual.run(main()).spans[-1].attributes
    assert attributes["params"] == {"topic": "tea", "client": "Client"}
    assert attributes["phase"] == "thinking"


def test_the_same_seed_gives_the_same_events() -> None:
    """Ids and times included; another seed gives others."""

    @step
    async def one() -> float:
        await pause(virtual.latency(0, 1))
        return 1

    @step
    async def two() -> float:
        await pause(virtual.latency(0, 1))
        return 2

    @step(soft_wait_s=0.2)
    async def last(one: float, two: Soft[float]) -> float:
        return one + (two or 0)

    def trace(seed: int) -> list[RunEvent]:
        events: list[RunEvent] = []
        run(graph(one, two, last), seed=seed, listeners=(events.append,))
        return events

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_only_a_run_with_a_sink_can_be_followed() -> None:
    """With one, the events come numbered, to the end."""

    @step
    async def last() -> int:
        return 1

    async def main() -> list[int | None]:
        started = graph(last).start({}, options=RunOptions(sink=MemorySink()))
        seqs = [event.seq async for event in started.follow()]
        plain = graph(last).start({})
        with pytest.raises(Exception, match="only a run with a sink"):
            await anext(plain.follow())
        await plain.outcome()
        return seqs

    seqs = virtual.run(main())
    assert seqs == list(range(1, len(seqs) + 1))
