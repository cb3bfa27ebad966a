"""What a step costs, and how close a run comes to its critical path, beside the peers.

Ours runs with its trace, a timeout on every step and a listener on its events.
"""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel

from bench import shapes
from bench.harness import OURS, Case
from bench.peers import MODULES, CannotExpress, find
from hasten.graph.graph import Graph
from hasten.graph.step import Soft, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.shapes import Shape

TITLE = "Graphs: what a step costs, and how close a run comes to its critical path"

MEASURE_S = 0.3
"""A quick graph is run again and again for so long, and the median of its runs counts."""

SOFT_WAIT_S = 0.05
SOFT_RUNS = 10


def cases() -> list[Case]:
    """Return what is measured."""
    return [
        _cost("chain of 100", shapes.chain(100), goal=40),
        _cost("fan-out and fan-in of 100", shapes.fan(100)),
        _cost("random DAG of 1,000", shapes.random_dag(1_000, sleeps=False), goal=40),
        _pace("diamond 200/350/400 ms", shapes.diamond(), goal=1.01),
        _pace("five unequal lanes", shapes.lanes(), goal=1.01),
        _pace("random DAG of 1,000, 2–30 ms", shapes.random_dag(1_000, sleeps=True), goal=1.06),
        _pace("fan of 100 at 20 ms", shapes.fan(100, 0.02), goal=1.25),
        Case("soft input's deadline", "ms late", {OURS: _soft_lateness_ms}, goal=5),
    ]


def _cost(name: str, shape: Shape, goal: float | None = None) -> Case:
    """Return the case of what one step of ``shape`` costs."""

    def figure(took_s: float) -> float:
        return took_s / len(shape.needs) * 1e6

    return _case(name, "µs a step", shape, figure, goal)


def _pace(name: str, shape: Shape, goal: float) -> Case:
    """Return the case of how much longer ``shape`` takes than its critical path."""

    def figure(took_s: float) -> float:
        return took_s / shape.critical_path_s

    return _case(name, "× critical path", shape, figure, goal)


def _case(
    name: str, unit: str, shape: Shape, figure: Callable[[float], float], goal: float | None
) -> Case:
    runners: dict[str, Callable[[], float] | str] = {}
    for contestant in MODULES:
        prepare = find(contestant)
        if prepare is None:
            runners[contestant] = "not installed"
            continue
        try:
            asyncio.run(prepare(shape))
        except CannotExpress:
            runners[contestant] = "cannot"
            continue
        runners[contestant] = partial(_run, prepare, shape, figure)
    return Case(name, unit, runners, goal, bare="bare TaskGroup")


def _run(
    prepare: Callable[[Shape], Awaitable[Callable[[], Awaitable[int]]]],
    shape: Shape,
    figure: Callable[[float], float],
) -> float:
    """Run one contestant's graph for a while in a loop of its own; the first run does not count."""

    async def main() -> float:
        call = await prepare(shape)
        took_s: list[float] = []
        until_s = 0.0
        while not took_s or perf_counter() < until_s:
            if not until_s and not shape.critical_path_s:
                await call()
            until_s = until_s or perf_counter() + MEASURE_S
            started_s = perf_counter()
            answer = await call()
            took_s.append(perf_counter() - started_s)
            if answer != shape.answer:
                message = f"{answer} is not the answer {shape.answer}"
                raise AssertionError(message)
        return figure(median(took_s))

    return asyncio.run(main())


class Nothing(BaseModel):
    """The inputs of the soft graph."""


@step
async def first() -> float:
    """Return when everything hard is there."""
    return perf_counter()


@step
async def never() -> None:
    """Take longer than anybody waits."""
    await asyncio.sleep(60)


@step(soft_wait_s=SOFT_WAIT_S)
async def patient(first: float, never: Soft[None]) -> float:  # noqa: ARG001 - missed on purpose
    """Return how many seconds it was held."""
    return perf_counter() - first


def _soft_lateness_ms() -> float:
    """Return how late a step goes on without a soft input, the latest of some runs."""
    graph = Graph("soft", [first, never, patient], inputs=Nothing, outputs=["patient"])

    async def main() -> float:
        held_s = [(await graph.run(Nothing())).value()["patient"] for _ in range(SOFT_RUNS)]
        return (max(held_s) - SOFT_WAIT_S) * 1e3

    return asyncio.run(main())
