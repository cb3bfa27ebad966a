"""Steps on their own: what the decorators make, and what a direct call does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from hasten import virtual
from hasten.graph.step import Retry, Soft, Step, StepPolicy, step, tool
from tests.graph.common import graph

if TYPE_CHECKING:
    from hasten.graph.outcome import Outcome


@tool(phase="asking", log_fields=("topic",))
async def look_up(topic: str, secret: object = None) -> str:
    """Look something up."""
    await asyncio.sleep(1)
    return f"{topic}{secret or ''}!"


def test_a_decorated_function_keeps_its_name_and_words() -> None:
    """And says what it is."""
    assert isinstance(look_up, Step)
    assert (look_up.name, look_up.__doc__) == ("look_up", "Look something up.")
    assert repr(look_up) == "<tool look_up>"
    assert repr(step(name="other")(look_up.function)) == "<step other>"
    assert step(look_up.function).policy == StepPolicy()


def test_a_direct_call_inside_a_run_is_measured() -> None:
    """As a span of the step that calls it; outside a run it is just the function."""
    assert virtual.run(look_up("tea")) == "tea!"

    @step
    async def last(topic: str) -> str:
        return await look_up(topic, secret=object)

    @tool(name="plain")
    async def unlogged() -> int:
        return 1

    @step
    async def more(last: str) -> str:
        return f"{last} {await unlogged()}"

    async def main() -> Outcome:
        return await graph(last, more, outputs=("more",)).run({})

    outcome = virtual.run(main())
    spans = {span.name: span for span in outcome.spans}
    assert spans["look_up"].parent_id == spans["last"].span_id
    assert spans["look_up"].attributes == {"phase": "asking", "params": {"topic": "tea"}}
    assert spans["plain"].attributes == {}
    assert outcome.record.tool_calls == 2


def test_what_a_signature_wants() -> None:
    """Hard, soft, with a default, untyped; ``**inputs`` stands for the names in the policy."""

    @step(soft_wait_s={"b": 2.0})
    async def one(a: Annotated[int, "years"], b: Soft[str], c: float = 1.0, d=None) -> None:  # noqa: ANN001 - untyped on purpose
        return None

    wants = one.wants
    assert [name for name, want in wants.items() if want.is_soft] == ["b"]
    assert [name for name, want in wants.items() if want.has_default] == ["c", "d"]
    assert [wants[name].annotation for name in "abcd"] == [int, str | None, float, Any]
    assert (one.soft_wait_s("b"), one.soft_wait_s("x")) == (2, 0)
    assert one.returns is type(None)

    @step(needs=("x", "y"), soft_needs=("z",), soft_wait_s=3)
    async def two(y: int, **inputs: object):  # noqa: ANN202 - untyped on purpose
        return inputs

    assert {name: want.is_soft for name, want in two.wants.items()} == {
        "x": False,
        "y": False,
        "z": True,
    }
    assert two.wants["y"].annotation is int
    assert two.soft_wait_s("z") == 3
    assert two.returns is Any


def test_only_errors_that_call_themselves_retryable_are_tried_again_by_default() -> None:
    """And not even those, unless more than one attempt is allowed."""
    assert Retry().attempts == 1
    assert not Retry().on(ValueError())
    error = ValueError()
    error.retryable = True
    assert Retry().on(error)


def test_a_misspelt_policy_is_refused() -> None:
    """By the decorator, at once."""
    with pytest.raises(TypeError, match="timout_s"):
        step(timout_s=1)(look_up.function)
