"""Random graphs whose steps fail, hang, are late, are cancelled and will not stop.

Owns the plan of such a graph, drawn from a seed, and the graph that carries it
out. Leaves what should come of it to ``naive``.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from hasten.clock import current_clock
from hasten.graph.graph import Graph
from hasten.graph.step import Retry, Step, StepPolicy

if TYPE_CHECKING:
    from random import Random

HANGS_S = 1e6
"""How long a step takes that hangs: longer than any deadline."""

Ending = Literal["value", "error", "raises_cancelled", "cancels_itself"]


@dataclass(frozen=True, slots=True)
class TryPlan:
    """One call of a step's function: how long it takes and how it ends."""

    delay_s: float
    ends: Ending = "value"


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step. It swallows ``swallows`` cancellations, going on for ``stubborn_s`` after each."""

    name: str
    hard: tuple[int, ...]
    soft: tuple[tuple[int, float], ...]
    tries: tuple[TryPlan, ...]
    backoff_s: float
    timeout_s: float | None
    fallback: TryPlan | None
    limit: str
    swallows: int
    stubborn_s: float


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A graph and how it is run: outputs, effects, deadline, and when somebody cancels it."""

    steps: tuple[StepPlan, ...]
    outputs: tuple[int, ...]
    effects: tuple[int, ...]
    optional: frozenset[int]
    limits: dict[str, int]
    deadline_s: float
    cancel_s: float | None


class Nothing(BaseModel):
    """The inputs of these graphs."""


def draw(random: Random) -> RunPlan:
    """Draw a plan: 1 to 8 steps, each after some of those before it, about a third in trouble."""
    steps: list[StepPlan] = []
    has_limits = random.random() < 0.2
    for position in range(random.randint(1, 8)):
        before = [one for one in range(position) if random.random() < 0.4]
        soft = {one for one in before if random.random() < 0.4}
        steps.append(
            StepPlan(
                name=f"s{position}",
                hard=tuple(one for one in before if one not in soft),
                soft=tuple((one, random.choice((0.0, random.random(), inf))) for one in soft),
                tries=tuple(_draw_try(random) for _ in range(random.choice((1, 1, 2, 3)))),
                backoff_s=random.random(),
                timeout_s=random.choice((None, 3 * random.random())),
                fallback=random.choice((None, None, _draw_try(random))),
                limit="few" if has_limits and random.random() < 0.5 else "",
                swallows=random.choice((0, 0, 0, 1, 3)),
                stubborn_s=random.choice((0.3, 5.0)) * random.random(),
            )
        )
    taken = {one for step in steps for one in (*step.hard, *(soft for soft, _ in step.soft))}
    ends = [one for one in range(len(steps)) if one not in taken or random.random() < 0.2]
    outputs = [one for one in ends if one == ends[0] or random.random() < 0.8]
    return RunPlan(
        steps=tuple(steps),
        outputs=tuple(outputs),
        effects=tuple(one for one in ends if one not in outputs),
        optional=frozenset(one for one in outputs if random.random() < 0.5),
        limits={"few": random.randint(1, 2)},
        deadline_s=random.choice((20.0, 5.0)) * random.random(),
        cancel_s=random.choice((None, None, None, 5 * random.random())),
    )


def _draw_try(random: Random) -> TryPlan:
    chance = random.random()
    if chance < 0.75:
        return TryPlan(random.random())
    if chance < 0.87:
        return TryPlan(random.random(), "error")
    if chance < 0.91:
        return TryPlan(random.random(), "raises_cancelled")
    if chance < 0.95:
        return TryPlan(random.random(), "cancels_itself")
    return TryPlan(HANGS_S)


def build(plan: RunPlan) -> Graph:
    """Build the graph that carries ``plan`` out."""
    return Graph(
        "random",
        [_build_step(plan, step) for step in plan.steps],
        inputs=Nothing,
        outputs=[plan.steps[one].name for one in plan.outputs],
        effects=[plan.steps[one].name for one in plan.effects],
        optional=[plan.steps[one].name for one in plan.optional],
        limits=plan.limits,
        deadline_s=plan.deadline_s,
    )


def value_of(name: str, inputs: dict[str, int | None]) -> int:
    """Return what a step gives: a number that differs with any of its inputs."""
    return zlib.crc32(f"{name}{sorted(inputs.items())}".encode())


def _build_step(plan: RunPlan, step: StepPlan) -> Step[..., Any]:
    calls = 0

    async def work(**inputs: Any) -> int:
        nonlocal calls
        calls += 1
        await _carry_out(step.tries[calls - 1], step)
        return value_of(step.name, inputs)

    async def fall_back(**inputs: Any) -> int:
        if step.fallback is not None:
            await _carry_out(step.fallback, step)
        return value_of(f"fallback of {step.name}", inputs)

    policy = StepPolicy(
        timeout_s=step.timeout_s,
        retry=Retry(len(step.tries), step.backoff_s, on=lambda _: True),
        fallback=fall_back if step.fallback else None,
        soft_wait_s={plan.steps[one].name: wait_s for one, wait_s in step.soft},
        limit=step.limit,
        needs=tuple(plan.steps[one].name for one in step.hard),
        soft_needs=tuple(plan.steps[one].name for one, _ in step.soft),
    )
    return Step(work, policy, name=step.name)


async def _carry_out(one: TryPlan, step: StepPlan) -> None:
    delay_s, may_swallow = one.delay_s, step.swallows
    while True:
        try:
            await current_clock().sleep(delay_s)
            break
        except asyncio.CancelledError:
            if not may_swallow:
                raise
            may_swallow -= 1
            delay_s = step.stubborn_s
    if one.ends == "error":
        raise ValueError(step.name)
    if one.ends == "raises_cancelled":
        raise asyncio.CancelledError
    if one.ends == "cancels_itself":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await current_clock().sleep(1)
