"""What the tests of graphs share: inputs, a graph of steps, a run in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hasten import virtual
from hasten.clock import current_clock
from hasten.graph.graph import Graph
from hasten.graph.outcome import Outcome, RunOptions

if TYPE_CHECKING:
    from hasten.graph.step import Step


class Ask(BaseModel):
    """The inputs of these graphs."""

    topic: str = "tea"


class Client:
    """A resource with no plain form."""


async def pause(seconds: float) -> None:
    """Wait on the clock in force."""
    await current_clock().sleep(seconds)


def graph(*steps: Step[..., Any], outputs: tuple[str, ...] = ("last",), **options: Any) -> Graph:
    """Build a graph of these steps whose answer is ``last``."""
    return Graph("tested", steps, inputs=Ask, outputs=outputs, **options)


def run(of: Graph, *, seed: int = 0, **options: Any) -> Outcome:
    """Run a graph to its end in virtual time."""
    return virtual.run(of.run({}, options=RunOptions(**options)), seed=seed)
