"""pydantic-graph's builder: steps, and a summing join where several lead into one.

A join closes one fork, so only graphs with at most one of each can be said.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_graph import GraphBuilder, StepContext, reduce_sum

from bench.peers import CannotExpress
from bench.shapes import MODULUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bench.shapes import Shape


async def prepare(shape: Shape) -> Callable[[], Awaitable[int]]:
    """Build the graph."""
    joins = [needs for needs in shape.needs if len(needs) > 1]
    if len(joins) > 1:
        raise CannotExpress
    builder = GraphBuilder(output_type=int)
    steps: list[Any] = []
    for position, (needs, sleep_s) in enumerate(zip(shape.needs, shape.sleeps_s, strict=True)):
        step = builder.step(_work(sleep_s), node_id=f"s{position}")
        steps.append(step)
        if len(needs) > 1:
            join = builder.join(reduce_sum, initial=0)
            for one in needs:
                builder.add(builder.edge_from(steps[one]).to(join))
            builder.add(builder.edge_from(join).to(step))
    followers: dict[int, list[Any]] = {}
    for position, needs in enumerate(shape.needs):
        if len(needs) == 1:
            followers.setdefault(needs[0], []).append(steps[position])
    builder.add(builder.edge_from(builder.start_node).to(steps[0]))
    for position, following in followers.items():
        builder.add(builder.edge_from(steps[position]).to(*following))
    builder.add(builder.edge_from(steps[-1]).to(builder.end_node))
    graph = builder.build()

    async def call() -> int:
        return int(await graph.run(inputs=0))

    return call


def _work(sleep_s: float) -> Callable[[StepContext[None, None, int]], Coroutine[Any, Any, int]]:
    async def work(context: StepContext[None, None, int]) -> int:
        if sleep_s:
            await asyncio.sleep(sleep_s)
        return (1 + (context.inputs or 0)) % MODULUS

    return work
