"""Reuse in a graph: cached steps, whole answers, what must never be kept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.caller import Caller
from hasten.clock import current_clock
from hasten.errors import GraphError, InvalidInput
from hasten.graph.graph import Graph
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.rerun import RERUN
from hasten.graph.step import Soft, step, tool
from hasten.model.base import Model, Request
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel

ANN, BOB = Caller("acme", "ann"), Caller("acme", "bob")


class Inputs(BaseModel):
    """An area many share and a story nobody does."""

    area: str
    story: str = ""


async def _no_trends(area: str) -> str:
    return f"no trends of {area}"


@tool(
    fallback=_no_trends,
    log_fields=("area",),
    cache=CachePolicy(use="tool", ttl_s=100.0, fields=("area",), tags=("market:{area}",)),
)
async def trends(area: str) -> str:
    """Look up trends for ten seconds; there are none of the moon."""
    await current_clock().sleep(10.0)
    if area == "moon":
        message = "nothing grows there"
        raise ValueError(message)
    return f"trends of {area}"


@step(cache=CachePolicy(use="block", ttl_s=1_000.0, fields=("area",), ignore=("trends",)))
async def block(trends: str, area: str) -> str:
    """Write a part that everybody in an area may read, in five seconds."""
    await current_clock().sleep(5.0)
    return f"[{trends}, {area}]"


@step
async def answer(block: str, story: str) -> str:
    """Put the shared and the personal together."""
    return f"{block} for {story}"


GRAPH = Graph("market", [trends, block, answer], inputs=Inputs, outputs=["answer"])


async def ask(cache: Cache | None, area: str, story: str, **options: Any) -> Outcome:
    """Run the graph once."""
    return await GRAPH.run(
        {"area": area, "story": story}, options=RunOptions(cache=cache, **options)
    )


def test_shared_values_are_computed_once() -> None:
    """Another person's run reuses what its fields allow, and only that."""

    async def main() -> None:
        async with Cache() as cache:
            first = await ask(cache, "food", "ann", caller=ANN)
            second = await ask(cache, "food", "bob", caller=BOB)
            other = await ask(cache, "art", "bob", caller=BOB)
        assert first.record.duration_s == pytest.approx(15.0)
        assert second.record.duration_s == pytest.approx(0.0)
        assert second.outputs["answer"] == "[trends of food, food] for bob"
        assert second.record.cache_hits == 2
        assert other.record.duration_s == pytest.approx(15.0)
        tool_span = next(span for span in second.spans if span.name == "trends")
        assert tool_span.attributes["cache_hit"] is True

    virtual.run(main())


def test_expiry_is_by_the_runs_clock() -> None:
    """The tool's value ends before the block's, which was made from it."""

    async def main() -> None:
        async with Cache() as cache:
            await ask(cache, "food", "")
            await current_clock().sleep(200.0)
            found = await ask(cache, "food", "")
        assert found.record.duration_s == pytest.approx(10.0)

    virtual.run(main())


def test_without_a_cache_all_is_computed() -> None:
    """A baseline reuses nothing, even beside runs that do."""

    async def main() -> None:
        async with Cache() as cache:
            await ask(cache, "food", "")
            found = await ask(None, "food", "")
        assert found.record.duration_s == pytest.approx(15.0)
        assert found.record.cache_hits == 0

    virtual.run(main())


def test_makers_do_not_mix() -> None:
    """What one model made is not given where another is asked."""

    async def main() -> None:
        async with Cache() as cache:
            await ask(cache, "food", "", made_by="sim", rerun=RERUN)
            found = await ask(cache, "food", "", made_by="real", rerun=RERUN)
        assert found.record.duration_s == pytest.approx(15.0)

    virtual.run(main())


def test_what_a_fallback_gave_is_not_kept() -> None:
    """Neither the fallback's value, nor a block or an answer made from it."""

    async def main() -> None:
        async with Cache() as cache:
            for _ in range(2):
                found = await ask(cache, "moon", "", rerun=RERUN)
                assert found.status == "degraded"
                assert found.record.duration_s == pytest.approx(15.0)
                assert found.record.cache_hits == 0

    virtual.run(main())


def test_the_same_again_is_given_again() -> None:
    """A rerun has the outputs, a new id, and says where they come from."""

    async def main() -> None:
        async with Cache() as cache:
            first = await ask(cache, "food", "ann", caller=ANN, rerun=RERUN)
            again = await ask(cache, "food", "ann", caller=ANN, rerun=RERUN)
            bobs = await ask(cache, "food", "ann", caller=BOB, rerun=RERUN)
        assert again.outputs == first.outputs
        assert again.run_id != first.run_id
        assert again.record.reuse["source_run_id"] == first.run_id
        assert again.record.reuse["cached"] is True
        saved = next(row for row in cache.stats.rows() if row.use == "rerun" and row.hits)
        assert saved.saved_s == pytest.approx(first.record.duration_s)
        assert [span.kind for span in again.spans] == ["run", "cache"]
        assert "cached" not in bobs.record.reuse

    virtual.run(main())


def test_a_hit_says_what_it_saved() -> None:
    """The seconds and the money of the calls that were not made again."""

    @step(cache=CachePolicy(use="block", fields=("area",), ignore=("model",)))
    async def written(area: str, model: Model) -> str:
        return (await model.complete(Request.ask(f"Write about {area}."))).text

    resources = {"model": Model}
    graph = Graph("written", [written], inputs=Inputs, outputs=["written"], resources=resources)

    async def main() -> None:
        model = build_chain(SimulatedModel())
        async with Cache() as cache:
            options = RunOptions(cache=cache)
            first = await graph.run({"area": "food"}, options=options, model=model)
            again = await graph.run({"area": "food"}, options=options, model=model)
        (found,) = (row for row in cache.stats.rows() if row.hits)
        assert first.record.cost_usd > 0
        assert again.record.cost_usd == 0
        assert found.saved_usd == pytest.approx(first.record.cost_usd)
        assert found.saved_s == pytest.approx(first.record.duration_s)

    virtual.run(main())


def test_identical_runs_share_their_tools() -> None:
    """Of runs that want the same at once, one computes and all are served."""
    calls: list[str] = []

    @tool(cache=CachePolicy(use="tool", fields=("area",)))
    async def counted(area: str) -> str:
        calls.append(area)
        await current_clock().sleep(5.0)
        return area

    graph = Graph("counted", [counted], inputs=Inputs, outputs=["counted"])

    async def main() -> None:
        async with Cache() as cache:
            options = RunOptions(cache=cache)
            runs = [graph.start({"area": "food"}, options=options) for _ in range(20)]
            outcomes = [await run.outcome() for run in runs]
        assert {outcome.outputs["counted"] for outcome in outcomes} == {"food"}

    virtual.run(main())
    assert calls == ["food"]


def test_a_cached_step_sees_its_key_and_nothing_else() -> None:
    """A graph in which an input reaches a shared value around its key is refused."""

    @step(cache=CachePolicy(use="block", fields=("area",), ignore=("answer",)))
    async def leaky(answer: str, area: str) -> str:
        return answer + area

    with pytest.raises(GraphError, match=r"'leaky' is cached by \['area'\].*\['story'\]"):
        Graph("leaky", [trends, block, answer, leaky], inputs=Inputs, outputs=["leaky"])

    with pytest.raises(InvalidInput, match="neither its fields nor ignored"):
        step(cache=CachePolicy(use="block", fields=("area",)))(block.function)


def test_a_step_without_its_soft_input_is_not_kept() -> None:
    """What went on without something it wanted is made anew when it is there."""

    @step
    async def late(area: str) -> str:
        await current_clock().sleep(50.0)
        return f"late news of {area}"

    @step(cache=CachePolicy(use="block", fields=("area",), ignore=("late",)))
    async def early(late: Soft[str], area: str) -> str:
        return f"{late} {area}"

    graph = Graph("soft", [late, early], inputs=Inputs, outputs=["early"])

    async def main() -> None:
        async with Cache() as cache:
            for _ in range(2):
                found = await graph.run({"area": "food"}, options=RunOptions(cache=cache))
                assert found.status == "degraded"
                assert found.record.cache_hits == 0

    virtual.run(main())
