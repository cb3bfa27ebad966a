"""One step: its tries, its time, its fallback, and whatever it may do."""

from __future__ import annotations

import asyncio
import contextlib
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import StepTimeout
from hasten.graph.attempt import CANCEL_AGAIN_S
from hasten.graph.step import Retry, Soft, step
from tests.graph.common import graph, pause, run

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome


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


def test_a_step_that_raises_no_exception_proper_has_failed() -> None:
    """Such as what ``pytest.fail`` raises, which derives from ``BaseException``."""

    class Odd(BaseException):
        pass

    @step
    async def last() -> int:
        raise Odd

    outcome = run(graph(last))
    assert isinstance(outcome.error and outcome.error.__cause__, Odd)


def test_an_interrupt_stops_everything() -> None:
    """It is not the step's failure; the loop ends with it."""

    @step
    async def last() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(graph(last))


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


def test_a_step_cannot_outlive_its_timeout_for_good() -> None:
    """It is cancelled again each second until it gives in; then its fallback answers."""

    async def plain() -> int:
        return 0

    @step(timeout_s=1, fallback=plain)
    async def last() -> int:
        for _ in range(7):
            with contextlib.suppress(asyncio.CancelledError):
                await pause(1000)
        await pause(1000)
        return 1

    outcome = run(graph(last))
    assert outcome.outputs == {"last": 0}
    assert outcome.record.duration_s == pytest.approx(1 + 7 * CANCEL_AGAIN_S)


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
