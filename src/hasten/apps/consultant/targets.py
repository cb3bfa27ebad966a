"""What the consultant states, and how it is measured: ``hasten check consultant``.

Owns the targets of the plan's performance goals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten import SimProfile, Target
from hasten.apps.consultant.inputs import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten import Trial

PROFILE = SimProfile(
    name="sim-consultant",
    ttft_s=0.35,
    prefill_tokens_per_s=8_000.0,
    decode_tokens_per_s=80.0,
    jitter=0.02,
)
"""Calibrated so that the baseline's agents, frameworks and synthesis take the plan's seconds."""

FAST = 20.0


def cold(sample: str) -> Callable[[Trial], Awaitable[float]]:
    """Return how to measure an analysis of which nothing is known."""

    async def measure(trial: Trial) -> float:
        return await trial.duration_s(SAMPLES[sample])

    return measure


async def similar(trial: Trial) -> float:
    """Return how long an analysis takes after one of another company of its industry."""
    await trial.run(SAMPLES["one"])
    return await trial.duration_s(SAMPLES["similar"])


async def repeat(trial: Trial) -> float:
    """Return how long the same analysis takes again, on the wall."""
    await trial.run(SAMPLES["five"], speed=FAST)
    return await trial.median_s(lambda: trial.run(SAMPLES["five"]))


async def again(trial: Trial) -> float:
    """Return how long the second of two equal analyses takes."""
    await trial.run(SAMPLES["one"])
    return await trial.duration_s(SAMPLES["one"])


TARGETS = (
    Target(name="one", about="one framework, cold", measure=cold("one"), at_most=20.0, plan="38 s"),
    Target(
        name="five", about="five frameworks, cold", measure=cold("five"), at_most=25.0, plan="42 s"
    ),
    Target(name="similar", about="a similar company", measure=similar, at_most=12.0, plan="12 s"),
    Target(
        name="repeat",
        about="the same analysis again",
        measure=repeat,
        at_most=0.010,
        clock="real",
        plan="0.8 s",
        baseline=again,
    ),
)
