"""What should come of a random graph, worked out one step after another.

Owns an oracle that shares nothing with the schedule: no queue, no events, only
"when would this step begin and end". It knows no limits; plans with limits are
checked by what must hold for any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Literal

from hasten.graph.attempt import CANCEL_AGAIN_S
from tests.properties.random_graphs import value_of

if TYPE_CHECKING:
    from tests.properties.random_graphs import RunPlan, StepPlan, TryPlan

Status = Literal["complete", "degraded", "failed", "cancelled"]


@dataclass(slots=True)
class ExpectedStep:
    """One step: when it begins (``inf``: never) and settles, and with what."""

    begins_s: float = inf
    settles_s: float = inf
    result: Literal["ok", "tainted", "none"] = "none"
    value: int | None = None
    missed: list[str] = field(default_factory=list)
    degrades_s: float = inf


@dataclass(frozen=True, slots=True)
class ExpectedRun:
    """The whole run: when it is over, how, and each step as if it never were."""

    over_s: float
    status: Status
    is_late: bool
    outputs: dict[str, int | None]
    steps: list[ExpectedStep]


def expect(plan: RunPlan) -> ExpectedRun:
    """Return what should come of ``plan``, which must have no limits in use."""
    steps: list[ExpectedStep] = []
    for step in plan.steps:
        steps.append(_expect_step(plan, step, steps))
    fails_s = min(
        (
            steps[one].settles_s
            for one in plan.outputs
            if one not in plan.optional and steps[one].result == "none"
        ),
        default=inf,
    )
    done_s = max(steps[one].settles_s for one in (*plan.outputs, *plan.effects))
    cancel_s = inf if plan.cancel_s is None else plan.cancel_s
    over_s = min(fails_s, done_s, cancel_s, plan.deadline_s)
    status: Status = "complete"
    if over_s == cancel_s:
        status = "cancelled"
    elif over_s in (fails_s, plan.deadline_s):
        status = "failed"
    elif any(one.degrades_s <= over_s for one in steps):
        status = "degraded"
    return ExpectedRun(
        over_s,
        status,
        over_s == plan.deadline_s,
        {
            plan.steps[one].name: steps[one].value
            for one in plan.outputs
            if steps[one].result != "none" and steps[one].settles_s <= over_s
        },
        steps,
    )


def _expect_step(plan: RunPlan, step: StepPlan, before: list[ExpectedStep]) -> ExpectedStep:
    lacking = [before[one].settles_s for one in step.hard if before[one].result == "none"]
    if lacking:
        return ExpectedStep(settles_s=min(lacking), degrades_s=min(lacking))
    ready_s = max((before[one].settles_s for one in step.hard), default=0.0)
    waits_s = (min(before[one].settles_s, ready_s + wait_s) for one, wait_s in step.soft)
    begins_s = max(ready_s, *waits_s) if step.soft else ready_s
    if begins_s == inf:
        return ExpectedStep()
    missed = [
        one
        for one, _ in step.soft
        if before[one].settles_s > begins_s or before[one].result == "none"
    ]
    there = {one for one in (*step.hard, *(soft for soft, _ in step.soft)) if one not in missed}
    inputs = {plan.steps[one].name: before[one].value for one in there}
    inputs |= {plan.steps[one].name: None for one in missed}
    took_s, by = _alone(step)
    found = ExpectedStep(begins_s, begins_s + took_s)
    found.missed = [plan.steps[one].name for one in missed]
    if missed:
        # Told when it begins; a run that is over at that very moment begins nothing.
        found.degrades_s = begins_s + 1e-12
    if by != "step":
        found.degrades_s = min(found.degrades_s, found.settles_s)
    if by != "nobody":
        is_tainted = by == "fallback" or missed or any(before[x].result == "tainted" for x in there)
        found.result = "tainted" if is_tainted else "ok"
        name = step.name if by == "step" else f"fallback of {step.name}"
        found.value = value_of(name, inputs)
    return found


def _alone(step: StepPlan) -> tuple[float, Literal["step", "fallback", "nobody"]]:
    """Return how long the step takes from its start, and who gave its value."""
    took_s, ending = _in_time(step, step.tries)
    if ending == "value":
        return took_s, "step"
    if step.fallback is None or ending == "cancels_itself":
        return took_s, "nobody"
    more_s, ending = _in_time(step, (step.fallback,))
    return took_s + more_s, "fallback" if ending == "value" else "nobody"


def _stopped(step: StepPlan, one: TryPlan, timeout_s: float) -> tuple[float, str]:
    """Return when a step ends that is out of time, cancelled again and again until it gives in."""
    if not step.swallows:
        return timeout_s, "late"
    if step.stubborn_s > CANCEL_AGAIN_S:
        return timeout_s + step.swallows * CANCEL_AGAIN_S, "late"
    by = "cancels_itself" if one.ends == "cancels_itself" else "late"
    return timeout_s + step.stubborn_s, by


def _in_time(step: StepPlan, tries: tuple[TryPlan, ...]) -> tuple[float, str]:
    timeout_s = inf if step.timeout_s is None else step.timeout_s
    now_s = 0.0
    for number, one in enumerate(tries):
        if now_s + one.delay_s > timeout_s:
            return _stopped(step, one, timeout_s)
        now_s += one.delay_s
        if one.ends != "error" or number == len(tries) - 1:
            return now_s, one.ends
        now_s += step.backoff_s * 2**number
        if now_s > timeout_s:
            return timeout_s, "late"
    raise AssertionError
