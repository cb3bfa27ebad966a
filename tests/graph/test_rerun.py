"""The same run asked for again while it is under way: computed once, or by each for itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import Directives
from hasten.caller import Caller
from hasten.clock import Clock, current_clock
from hasten.errors import StepFailed
from hasten.graph.graph import Graph
from hasten.graph.outcome import Outcome, RunOptions
from hasten.graph.rerun import RERUN
from hasten.graph.run import Run
from hasten.graph.step import Soft, step

ANN, BOB = Caller("acme", "ann"), Caller("acme", "bob")
TAKES_S = 10.0


class Inputs(BaseModel):
    """What is asked."""

    topic: str = "tea"


@dataclass
class Kitchen:
    """A graph of two steps, how often it was computed, and what goes wrong the first time."""

    cache: Cache
    wrong: str = ""
    computed: Counter[str] = field(default_factory=Counter)

    def graph(self) -> Graph:
        """Return the graph: an answer and, softly, a word more."""

        @step
        async def more(topic: str) -> str:
            is_late = self.wrong == "degraded" and not self.computed[topic]
            await current_clock().sleep(5.0 if is_late else 0.5)
            return f"more {topic}"

        @step(soft_wait_s=1.0)
        async def answer(topic: str, more: Soft[str]) -> list[str]:
            self.computed[topic] += 1
            is_first = self.computed[topic] == 1
            await current_clock().sleep(TAKES_S)
            if self.wrong == "failed" and is_first:
                message = "the kettle is broken"
                raise ValueError(message)
            return [topic, more or ""]

        return Graph("kitchen", [more, answer], inputs=Inputs, outputs=["answer"])

    async def start(self, graph: Graph, topic: str = "tea", **options: Any) -> Run:
        """Start a run whose whole answer may be given again, and let it get going."""
        asked = RunOptions(**{"cache": self.cache, "rerun": RERUN, "caller": ANN, **options})
        run = Run(graph, Inputs(topic=topic), {}, asked)
        await current_clock().sleep(0.1)
        return run


def said_of(outcome: Outcome) -> list[tuple[str, str]]:
    """Return what the run's own cache spans say."""
    return [
        (one.attributes["result"], one.attributes.get("reason", ""))
        for one in outcome.spans
        if one.kind == "cache"
    ]


def play(scenario: Any, wrong: str = "") -> None:
    """Play a scenario in virtual time."""

    async def main() -> None:
        async with Cache() as cache:
            kitchen = Kitchen(cache, wrong)
            await scenario(kitchen, kitchen.graph())

    virtual.run(main())


def test_the_same_runs_under_way_are_computed_once() -> None:
    """Those that come meanwhile wait, get the answer as their own, and say where it is from."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        first = await kitchen.start(graph)
        await current_clock().sleep(4.0)
        others = [await kitchen.start(graph) for _ in range(20)]
        whole = await first.outcome()
        done = [await run.outcome() for run in others]
        assert kitchen.computed["tea"] == 1
        assert said_of(whole) == [
            ("miss", "nothing is stored under this key"),
            ("stored", ""),
        ]
        for number, one in enumerate(done):
            assert one.outputs == whole.outputs
            assert one.run_id != whole.run_id
            assert one.record.reuse["cached"] is one.record.reuse["collapsed"] is True
            assert one.record.reuse["source_run_id"] == whole.run_id
            assert one.record.duration_s == pytest.approx(TAKES_S + 0.5 - 4.1 - 0.1 * number)
            assert said_of(one) == [("collapsed", "")]
        done[0].outputs["answer"].append("sugar")
        assert done[1].outputs["answer"] == ["tea", "more tea"]
        stats = kitchen.cache.stats.of("rerun", "")
        assert (stats.misses, stats.collapsed) == (1, 20)
        again = await (await kitchen.start(graph)).outcome()
        assert "collapsed" not in again.record.reuse
        assert again.record.reuse["source_run_id"] == whole.run_id

    play(scenario)


@pytest.mark.parametrize("wrong", ["failed", "degraded"])
def test_one_that_waited_in_vain_runs_itself(wrong: str) -> None:
    """What failed or is degraded is nobody else's answer."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        runs = [await kitchen.start(graph) for _ in range(3)]
        first, *others = [await run.outcome() for run in runs]
        assert first.status == wrong
        assert kitchen.computed["tea"] == 3
        for one in others:
            assert one.status == "complete"
            assert "cached" not in one.record.reuse
            assert said_of(one) == [("miss", "the same run gave no answer"), ("stored", "")]

    play(scenario, wrong)


def test_a_cancelled_run_gives_way() -> None:
    """Cancelling the first leaves the second its own answer; cancelling that, the third's."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        first, second, third = [await kitchen.start(graph) for _ in range(3)]
        await current_clock().sleep(2.0)
        second.cancel()
        assert (await second.outcome()).status == "cancelled"
        assert second.record.duration_s == pytest.approx(2.2)
        first.cancel()
        assert (await third.outcome()).status == "complete"
        assert kitchen.computed["tea"] == 2

    play(scenario)


def test_waiting_ends_with_the_run_s_own_deadline() -> None:
    """A run in a hurry fails in time, and the one it waited for goes on."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        first, hurried = await kitchen.start(graph), await kitchen.start(graph, deadline_s=3.0)
        late = await hurried.outcome()
        assert (late.status, late.record.duration_s) == ("failed", pytest.approx(3.0))
        assert late.record.error is not None
        assert late.record.error["code"] == "deadline_exceeded"
        assert (await first.outcome()).status == "complete"
        assert kitchen.computed["tea"] == 1

    play(scenario)


@pytest.mark.parametrize(
    "asked",
    [
        {"directives": Directives(no_cache=True)},
        {"directives": Directives(no_store=True)},
        {"anew": frozenset({"answer"})},
        {"caller": BOB},
        {"caller": Caller("other", "ann")},
        {"made_by": "another model"},
        {"rerun": None},
    ],
)
def test_who_asks_for_something_else_waits_for_nobody(asked: dict[str, Any]) -> None:
    """A new answer, another person's or another maker's, is computed beside it, both ways round."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        runs = [
            await kitchen.start(graph),
            await kitchen.start(graph, **asked),
            await kitchen.start(graph),
        ]
        outcomes = [await run.outcome() for run in runs]
        assert kitchen.computed["tea"] == 2
        assert [bool(one.record.reuse.get("collapsed")) for one in outcomes] == [False, False, True]
        assert outcomes[2].record.reuse["source_run_id"] == outcomes[0].run_id

    play(scenario)


def test_other_inputs_are_another_run() -> None:
    """They share nothing."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        runs = [await kitchen.start(graph, topic) for topic in ("tea", "coffee")]
        assert [(await run.outcome()).outputs["answer"][0] for run in runs] == ["tea", "coffee"]

    play(scenario)


def test_what_is_invalidated_meanwhile_is_neither_joined_nor_kept() -> None:
    """A run that began before is given to those who asked before only, and not stored."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        first = await kitchen.start(graph)
        await current_clock().sleep(4.0)
        await kitchen.cache.invalidate("use=rerun", tenants=["acme"])
        second = await kitchen.start(graph)
        assert said_of(await first.outcome())[-1] == (
            "not stored",
            "invalidated while it was computed",
        )
        assert (await second.outcome()).record.reuse == {}
        assert kitchen.computed["tea"] == 2
        third = await (await kitchen.start(graph)).outcome()
        assert third.record.reuse["source_run_id"] == second.run_id

    play(scenario)


def test_the_first_may_fail_with_its_error() -> None:
    """It is the failed run's own, not that of who waited."""

    async def scenario(kitchen: Kitchen, graph: Graph) -> None:
        first, second = await kitchen.start(graph), await kitchen.start(graph)
        assert isinstance((await first.outcome()).error, StepFailed)
        assert (await second.outcome()).error is None

    play(scenario, "failed")


def test_at_any_speed_an_answer_is_as_old_as_it_is() -> None:
    """A run of ten seconds at speed 1000 ends now, not ten seconds ahead."""

    @step
    async def answer(topic: str) -> str:
        await current_clock().sleep(TAKES_S)
        return topic

    graph = Graph("quick", [answer], inputs=Inputs, outputs=["answer"])

    async def main() -> None:
        async with Cache() as cache:
            first, again = [
                await graph.run(
                    {}, options=RunOptions(cache=cache, rerun=RERUN, clock=Clock(1_000.0))
                )
                for _ in range(2)
            ]
            assert first.record.duration_s >= TAKES_S
            age_s = Clock().now() - again.record.reuse["cached_at_s"]
            assert 0 <= age_s < TAKES_S / 2
            (held,) = cache.memory.entries()
            assert 0 <= Clock().now() - held.entry.created_s < TAKES_S / 2
            assert held.entry.provenance.compute_s >= TAKES_S

    asyncio.run(main())
