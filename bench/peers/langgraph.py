"""LangGraph: a node a step, its inputs read from the state, joins by edges from several nodes."""

from __future__ import annotations

from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bench.shapes import Shape


class State(TypedDict):
    """What nodes read and write: the values so far, by step."""

    values: Annotated[dict[str, int], or_]


async def prepare(shape: Shape) -> Callable[[], Awaitable[int]]:
    """Compile the graph."""
    graph = StateGraph(State)
    for function, needs in zip(shape.functions(), shape.needs, strict=True):
        name = function.__name__
        graph.add_node(name, _node(function, [f"s{one}" for one in needs]))
        if needs:
            graph.add_edge([f"s{one}" for one in needs] if len(needs) > 1 else f"s{needs[0]}", name)
        else:
            graph.add_edge(START, name)
    compiled = graph.compile()

    async def call() -> int:
        empty: State = {"values": {}}
        found = await compiled.ainvoke(empty, {"recursion_limit": len(shape.needs) + 10})
        return int(found["values"][f"s{len(shape.needs) - 1}"])

    return call


def _node(
    function: Callable[..., Coroutine[Any, Any, int]], needs: list[str]
) -> Callable[[State], Coroutine[Any, Any, State]]:
    async def node(state: State) -> State:
        values = state["values"]
        return {"values": {function.__name__: await function(**{n: values[n] for n in needs})}}

    return node
