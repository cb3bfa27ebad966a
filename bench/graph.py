"""What a step costs, and how close a run comes to its critical path, beside the peers.

Ours runs with its trace, a timeout on every step and a listener on its events.
What a step costs is processor time, since nothing else is waited for; on a
machine with nothing else to do it is the time on the wall, too.
"""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from pydantic import BaseModel

from bench import shapes
from bench.harness import OURS, Case
from bench.peers import MODULES, CannotExpress, Prepare, find
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
    """Return the case of the processor time one step of ``shape`` costs."""
    return _case(name, "µs a step", partial(_cost_us, shape), shape, goal)


def _pace(name: str, shape: Shape, goal: float) -> Case:
    """Return the case of how much longer ``shape`` takes than its critical path."""
    return _case(name, "× critical path", partial(_makespan, shape), shape, goal)


def _case(
    name: str,
    unit: str,
    figure: Callable[[Prepare], float],
    shape: Shape,
    goal: float | None,
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
        else:
            runners[contestant] = partial(figure, prepare)
    return Case(name, unit, runners, goal, bare="bare TaskGroup")


def _cost_us(shape: Shape, prepare: Prepare) -> float:
    """Return the processor time of one step: the median of runs, after one to warm up."""

    async def main() -> float:
        call = await prepare(shape)
        await _checked(call, shape)
        costs_us: list[float] = []
        until_s = perf_counter() + MEASURE_S
        while not costs_us or perf_counter() < until_s:
            before_s = process_time()
            await _checked(call, shape)
            costs_us.append((process_time() - before_s) / len(shape.needs) * 1e6)
        return median(costs_us)

    return asyncio.run(main())


def _makespan(shape: Shape, prepare: Prepare) -> float:
    """Return how long a run takes by its critical path; of short ones, the median of several."""

    async def main() -> float:
        call = await prepare(shape)
        took_s: list[float] = []
        until_s = perf_counter() + MEASURE_S
        while not took_s or perf_counter() < until_s:
            before_s = perf_counter()
            await _checked(call, shape)
            took_s.append(perf_counter() - before_s)
        return median(took_s) / shape.critical_path_s

    return asyncio.run(main())


async def _checked(call: Callable[[], Awaitable[int]], shape: Shape) -> None:
    answer = await call()
    if answer != shape.answer:
        message = f"{answer} is not the answer {shape.answer}"
        raise AssertionError(message)


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
    """Return how late a step goes on without a soft input, the median of some runs."""
    graph = Graph("soft", [first, never, patient], inputs=Nothing, outputs=["patient"])

    async def main() -> float:
        held_s = [(await graph.run(Nothing())).value()["patient"] for _ in range(SOFT_RUNS)]
        return (median(held_s) - SOFT_WAIT_S) * 1e3

    return asyncio.run(main())
