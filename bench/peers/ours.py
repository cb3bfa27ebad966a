"""Hasten as it is used: a trace, a timeout on every step, a listener on its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from hasten.graph.graph import Graph
from hasten.graph.outcome import RunOptions
from hasten.graph.step import step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.shapes import Shape
    from hasten.trace.event import RunEvent


class Nothing(BaseModel):
    """The inputs of these graphs."""


async def prepare(shape: Shape) -> Callable[[], Awaitable[int]]:
    """Build the graph."""
    steps = [step(timeout_s=30.0)(function) for function in shape.functions()]
    last = steps[-1].name
    graph = Graph("bench", steps, inputs=Nothing, outputs=[last])

    async def call() -> int:
        events: list[RunEvent] = []
        outcome = await graph.run(Nothing(), options=RunOptions(listeners=(events.append,)))
        return int(outcome.value()[last])

    return call
