"""Runs: what starts when, how they end, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import DeadlineExceeded, GraphError, RunCancelled, StepFailed, StepTimeout
from hasten.graph.graph import Graph
from hasten.graph.run import CANCEL_AGAIN_S, CANCEL_TIMES, Outcome, RunOptions
from hasten.graph.step import Retry, Soft, step
from hasten.trace.log import MemorySink

if TYPE_CHECKING:
    from hasten.trace.event import RunEvent


class Ask(BaseModel):
    """The inputs of these graphs."""

    topic: str = "tea"


class Client:
    """A resource with no plain form."""


async def pause(seconds: float) -> None:
    """Wait on the clock in force."""
    await current_clock().sleep(seconds)


def graph(*steps: Any, outputs: tuple[str, ...] = ("last",), **options: Any) -> Graph:
    """Build a graph of these steps whose answer is ``last``."""
    return Graph("tested", steps, inputs=Ask, outputs=outputs, **options)


def run(of: Graph, *, seed: int = 0, **options: Any) -> Outcome:
    """Run a graph to its end in virtual time."""
    return virtual.run(of.run({}, options=RunOptions(**options)), seed=seed)


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


def test_a_timeout_a_retry_and_a_fallback() -> None:
    """Two tries within one timeout, then the fallback's value, tainted and said so."""
    tries: list[float] = []

    async def plain(topic: str) -> str:
        return f"plain {topic}"

    @step(timeout_s=5, retry=Retry(3, backoff_s=1, on=lambda _: True), fallback=plain)
    async def last(topic: str) -> str:
        tries.append(current_clock().monotonic())
        await pause(1 if len(tries) == 1 else 60)
        raise ValueError(topic)

    outcome = run(graph(last))
    assert tries == [0, 2]
    assert outcome.outputs == {"last": "plain tea"}
    assert outcome.record.duration_s == pytest.approx(5)
    assert outcome.degraded_by == ("last: fallback after step_timeout",)
    span = outcome.spans[-1]
    assert span.status == "degraded"
    assert span.attributes["attempts"] == 2
    assert span.attributes["fallback"] is True
    assert span.attributes["error"]["code"] == "step_timeout"


def test_a_fallback_that_fails_too() -> None:
    """Then there is no value, and the first error is the second one's context."""

    async def worse() -> int:
        message = "worse"
        raise ValueError(message)

    @step(timeout_s=1, fallback=worse)
    async def last() -> int:
        await pause(2)
        return 1

    outcome = run(graph(last))
    assert outcome.status == "failed"
    assert "worse" in str(outcome.error)
    assert isinstance(outcome.error and outcome.error.__context__, StepTimeout)
    assert outcome.spans[-1].status == "timeout"


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


def test_a_step_whose_own_task_is_cancelled_has_failed() -> None:
    """By itself, or by a stranger before it began; the run goes on."""

    @step
    async def own() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await pause(1)
        return 1

    @step
    async def raised() -> int:
        raise asyncio.CancelledError

    @step(soft_wait_s=inf)
    async def last(own: Soft[int], raised: Soft[int]) -> str:
        return f"{own} {raised}"

    outcome = run(graph(own, raised, last))
    assert outcome.outputs == {"last": "None None"}
    assert "own: no value: CancelledError" in outcome.degraded_by

    async def main() -> Outcome:
        started = graph(raised, last, own).start({})
        await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if task.get_name() in {"own", "raised"}:
                task.cancel()
        return await started.outcome()

    assert virtual.run(main()).outputs == {"last": "None None"}


def test_a_step_that_raises_no_exception_proper_has_failed() -> None:
    """Such as what ``pytest.fail`` raises, which derives from ``BaseException``."""

    class Odd(BaseException):
        pass

    @step
    async def last() -> int:
        raise Odd

    outcome = run(graph(last))
    assert isinstance(outcome.error and outcome.error.__cause__, Odd)


def test_a_step_that_swallows_its_timeout_has_timed_out() -> None:
    """What it returns afterwards is no answer."""

    @step(timeout_s=1)
    async def last() -> int:
        try:
            await pause(10)
        except asyncio.CancelledError:
            await pause(1)
        return 1

    outcome = run(graph(last))
    assert isinstance(outcome.error, StepTimeout)
    assert outcome.record.duration_s == pytest.approx(2)


def test_an_error_in_answer_to_a_timeout_is_not_tried_again() -> None:
    """It would run with no time limit at all."""
    tries = 0

    @step(timeout_s=1, retry=Retry(5, on=lambda _: True))
    async def last() -> int:
        nonlocal tries
        tries += 1
        try:
            await pause(10)
        except asyncio.CancelledError:
            raise ValueError from None
        return 1

    outcome = run(graph(last))
    assert tries == 1
    assert isinstance(outcome.error, StepTimeout)


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


def test_a_fallback_is_not_begun_for_a_run_that_is_over() -> None:
    """A step that answers its cancellation with an error is cancelled, not failed."""
    begun: list[str] = []

    async def plain() -> int:
        begun.append("fallback")
        return 0

    @step(fallback=plain)
    async def last() -> int:
        try:
            await pause(100)
        except asyncio.CancelledError:
            raise ValueError from None
        return 1

    outcome = run(graph(last, deadline_s=1))
    assert begun == []
    assert outcome.spans[-1].status == "cancelled"


def test_an_output_without_a_plain_form_is_a_failure() -> None:
    """Of its step, with the usual ways out; other steps may return what they like."""

    async def plain() -> object:
        return "words"

    @step
    async def middle() -> object:
        return object()

    @step(fallback=plain)
    async def last(middle: object) -> object:
        return middle

    outcome = run(graph(middle, last))
    assert outcome.outputs == {"last": "words"}
    assert outcome.degraded_by == ("last: fallback after codec",)

    def knot() -> list[Any]:
        value: list[Any] = []
        value.append(value)
        return value

    @step(name="last")
    async def endless() -> list[Any]:
        return knot()

    assert run(graph(endless)).status == "failed"


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
