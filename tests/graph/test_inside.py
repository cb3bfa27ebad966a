"""Steps called inside a step, and steps run for what they do."""

from __future__ import annotations

import asyncio

import pytest

from hasten.errors import GraphError, StepFailed
from hasten.graph.step import step, tool
from tests.graph.common import graph, pause, run


async def plain(topic: str) -> str:
    """Stand in for a tool that gave nothing."""
    return f"plain {topic}"


def test_a_tool_called_inside_keeps_its_policy() -> None:
    """Its timeout and fallback hold; the run, the step around it and its readers are degraded."""

    @tool(timeout_s=3, fallback=plain, log_fields=("topic",))
    async def look_up(topic: str) -> str:
        await pause(60)
        return topic

    @step
    async def first(topic: str) -> str:
        return await look_up(topic)

    @step
    async def last(first: str) -> str:
        return first

    outcome = run(graph(first, last))
    assert outcome.outputs == {"last": "plain tea"}
    assert outcome.record.duration_s == pytest.approx(3)
    assert outcome.degraded_by == ("look_up: fallback after step_timeout",)
    by_name = {span.name: span for span in outcome.spans}
    assert by_name["look_up"].status == by_name["first"].status == "degraded"
    assert by_name["look_up"].parent_id == by_name["first"].span_id
    assert by_name["look_up"].attributes["params"] == {"topic": "tea"}
    assert by_name["last"].status == "ok"
    assert outcome.record.tool_calls == 1


def test_a_tool_called_inside_without_a_fallback_fails_its_step() -> None:
    """The step around it may catch that; if it does not, it fails and says why."""

    @tool
    async def look_up() -> str:
        message = "no line"
        raise ValueError(message)

    @step
    async def last() -> str:
        return await look_up()

    outcome = run(graph(last))
    assert outcome.status == "failed"
    assert isinstance(outcome.error, StepFailed)
    assert "look_up" in str(outcome.error)
    assert "no line" in str(outcome.error)


def test_outside_a_run_a_step_is_a_function() -> None:
    """No policy and no span: a unit test sees what the function does."""

    @tool(fallback=plain)
    async def look_up(topic: str) -> str:
        raise LookupError(topic)

    with pytest.raises(LookupError, match="tea"):
        asyncio.run(look_up("tea"))


def test_a_tool_called_inside_refuses_wrong_arguments() -> None:
    """As the function itself would: none is dropped in silence."""

    @tool
    async def look_up(topic: str, *, times: int = 1) -> str:
        return topic * times

    @step
    async def last(topic: str) -> str:
        with pytest.raises(TypeError, match="too many positional arguments"):
            await look_up(topic, 2)
        with pytest.raises(TypeError, match="missing a required argument: 'topic'"):
            await look_up()
        return await look_up(topic, times=2)

    assert run(graph(last)).outputs == {"last": "teatea"}


def test_an_effect_is_waited_for_and_is_no_part_of_the_answer() -> None:
    """The run ends with its effects; the outputs do not wait for them."""
    saved: list[int] = []

    @step
    async def last() -> int:
        return 7

    @step
    async def save(last: int) -> None:
        await pause(2)
        saved.append(last)

    outcome = run(graph(last, save, effects=("save",)))
    assert saved == [7]
    assert outcome.outputs == {"last": 7}
    assert outcome.record.duration_s == pytest.approx(2)
    assert outcome.status == "complete"


def test_an_effect_that_fails_degrades_the_run() -> None:
    """The answer is there all the same."""

    @step
    async def last() -> int:
        return 7

    @step
    async def save(last: int) -> None:
        raise OSError(last)

    outcome = run(graph(last, save, effects=("save",)))
    assert outcome.status == "degraded"
    assert outcome.outputs == {"last": 7}
    assert outcome.degraded_by == ("save: no value: OSError",)


def test_an_effect_must_be_a_step_and_no_output() -> None:
    """Anything else is refused when the graph is built."""

    @step
    async def last() -> int:
        return 7

    for wrong in ("last", "nobody"):
        with pytest.raises(GraphError, match=wrong):
            graph(last, effects=(wrong,))
