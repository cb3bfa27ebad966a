"""Steps and tools whose values are kept: what is reused, what is not, what inherits what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.errors import InvalidInput
from hasten.graph.graph import Graph
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.step import Soft, step, tool
from tests.graph.common import Client, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

KEPT = CachePolicy(use="trends", fields=("area",), ignore=("client",), tags=("market:{area}",))


class Idea(BaseModel):
    """Inputs with a personal part."""

    area: str = "AI"
    story: str = "mine"


@tool(cache=KEPT, log_fields=("area",))
async def trends(area: str, client: Client) -> str:
    """Look up trends."""
    await pause(5)
    return f"trends of {area}"


@step(cache=CachePolicy(use="report", scope="user"))
async def report(trends: str, story: str) -> dict[str, str]:
    """Write a report."""
    await pause(10)
    return {"text": f"{trends}, {story}"}


def in_virtual_time(main: Callable[[Cache], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time with a cache of its own."""

    def test() -> None:
        async def run() -> None:
            await main(Cache())

        virtual.run(run())

    test.__doc__ = main.__doc__
    return test


GRAPH = Graph(
    "ideas", [trends, report], inputs=Idea, outputs=["report"], resources={"client": Client}
)


async def outcome(cache: Cache | None, graph: Graph = GRAPH, **inputs: str) -> Outcome:
    """Run a graph with a cache."""
    resources = {"client": Client()} if graph.resources else {}
    return await graph.run(inputs, options=RunOptions(cache=cache), **resources)


def hits(found: Outcome) -> list[str]:
    """Return the names of the steps a cache answered."""
    return [span.name for span in found.spans if span.attributes.get("cache_hit")]


@in_virtual_time
async def test_a_tool_is_reused_by_its_fields(cache: Cache) -> None:
    """Another person's report takes the same trends; what is ignored is not in the key."""
    first = await outcome(cache)
    assert (first.record.duration_s, hits(first), first.record.cache_hits) == (15.0, [], 0)
    second = await outcome(cache, story="yours")
    assert (second.record.duration_s, hits(second)) == (10.0, ["trends"])
    assert second.record.cache_hits == 1
    assert second.outputs["report"] == {"text": "trends of AI, yours"}
    third = await outcome(cache, area="health", story="yours")
    assert (third.record.duration_s, hits(third)) == (15.0, [])
    again = await outcome(cache)
    assert (again.record.duration_s, hits(again)) == (0.0, ["trends", "report"])
    reused = [span.attributes for span in again.spans if span.attributes.get("cache_hit")]
    assert [attributes["saved_ms"] for attributes in reused] == [5000.0, 10000.0]


@in_virtual_time
async def test_without_a_cache_nothing_is_kept(cache: Cache) -> None:
    """The policy alone changes nothing."""
    for _ in range(2):
        assert (await outcome(None)).record.duration_s == 15.0
    assert cache.stats.rows() == []


@in_virtual_time
async def test_what_is_made_of_cached_parts_inherits_their_tags(cache: Cache) -> None:
    """Dropping market data drops the reports made of it, though the report knows no tags."""
    for story in ("mine", "yours"):
        await outcome(cache, story=story)
    await outcome(cache, area="health")
    dry = await cache.invalidate("tag=market:AI", is_dry_run=True)
    labels = [line.split("  [")[0] for line in dry.tree()]
    assert labels == [
        "trends area=AI",
        "  report story=mine trends=trends of AI",
        "  report story=yours trends=trends of AI",
    ]
    await cache.invalidate("tag=market:AI")
    assert hits(await outcome(cache)) == []
    assert hits(await outcome(cache, area="health")) == ["trends", "report"]


@in_virtual_time
async def test_a_run_inside_a_computation_hands_its_parts_on(cache: Cache) -> None:
    """A stored result of a whole run is dropped with any part of it, hit or computed."""
    rerun = CachePolicy(use="rerun", scope="user", ttl_s=None)

    async def whole() -> Any:
        return (await outcome(cache)).outputs

    for _ in range(2):
        answer = await cache.answer(cache.key(rerun, n=1), whole, rerun)
        assert answer.entry is not None
        assert answer.entry.tags == ("market:AI",)
        assert (await cache.answer(cache.key(rerun, n=1), whole, rerun)).tier == "memory"
        await cache.invalidate(f"key={cache.key(rerun, n=1).digest.hex()}")
    await cache.answer(cache.key(rerun, n=1), whole, rerun)
    await cache.invalidate("tag=market:AI")
    assert (await cache.answer(cache.key(rerun, n=1), whole, rerun)).tier == ""


async def quick(area: str) -> str:
    """Answer when the tool fails."""
    return f"common knowledge of {area}"


@in_virtual_time
async def test_a_fallbacks_value_fills_nothing(cache: Cache) -> None:
    """Neither its own entry nor that of a step made of it."""

    @tool(cache=CachePolicy(use="failing"), fallback=quick)
    async def facts(area: str) -> str:
        await pause(1)
        message = "down"
        raise RuntimeError(message)

    @step(cache=CachePolicy(use="made of it"))
    async def last(facts: str) -> str:
        await pause(1)
        return facts

    graph = Graph("failing", [facts, last], inputs=Idea, outputs=["last"])
    for _ in range(2):
        found = await outcome(cache, graph)
        assert (found.status, hits(found)) == ("degraded", [])
    assert len(cache.memory.queue.nodes) == 0


@in_virtual_time
async def test_a_missed_soft_input_fills_nothing(cache: Cache) -> None:
    """And its key is another than that of the value which had it."""

    @step(cache=CachePolicy(use="slow"))
    async def slow(story: str) -> str:
        await pause(20 if story == "long" else 1)
        return "late"

    @step(cache=CachePolicy(use="last"), soft_wait_s=5)
    async def last(slow: Soft[str], area: str) -> str:
        await pause(1)
        return f"{area} {slow}"

    graph = Graph("soft", [slow, last], inputs=Idea, outputs=["last"])
    without = await outcome(cache, graph, story="long")
    assert (without.outputs["last"], without.status) == ("AI None", "degraded")
    again = await outcome(cache, graph, story="long")
    assert hits(again) == []
    whole = await outcome(cache, graph, story="short")
    assert whole.outputs["last"] == "AI late"
    assert hits(await outcome(cache, graph, story="short")) == ["slow", "last"]


@in_virtual_time
async def test_two_runs_at_once_compute_a_step_once(cache: Cache) -> None:
    """The second run joins the first one's computation, and both say so in their traces."""
    import asyncio

    runs = await asyncio.gather(*(outcome(cache) for _ in range(3)))
    assert {run.record.duration_s for run in runs} == {15.0}
    results = [
        span.attributes.get("result") for run in runs for span in run.spans if span.name == "trends"
    ]
    assert sorted(filter(None, results)) == ["collapsed", "collapsed", "miss", "miss"]


@in_virtual_time
async def test_a_version_of_the_step_is_a_version_of_its_values(cache: Cache) -> None:
    """Raising it computes anew."""
    for version in (1, 1, 2):

        @step(cache=CachePolicy(use="versioned"), version=version)
        async def last(area: str) -> str:
            return area

        await outcome(cache, Graph("versioned", [last], inputs=Idea, outputs=["last"]))
    assert cache.stats.of("versioned", "").misses == 2


@in_virtual_time
async def test_inputs_no_key_can_be_made_of_are_computed(cache: Cache) -> None:
    """The run goes on as without a cache."""

    @step(cache=CachePolicy(use="odd"))
    async def last(client: Client) -> str:
        return type(client).__name__

    graph = Graph("odd", [last], inputs=Idea, outputs=["last"], resources={"client": Client})
    found = await outcome(cache, graph)
    assert (found.status, found.outputs["last"]) == ("complete", "Client")
    assert cache.stats.rows() == []


def test_a_step_that_sees_more_than_its_key_is_refused() -> None:
    """What is shared must be made of its key alone, so that nobody's story reaches another."""

    async def leaky(area: str, story: str) -> str:
        return area + story

    with pytest.raises(InvalidInput, match=r"\['story'\] are neither its fields nor ignored"):
        tool(cache=CachePolicy(use="leaky", fields=("area",)))(leaky)
