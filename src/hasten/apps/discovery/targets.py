"""What discovery states, and how each figure is measured: ``hasten check discovery``.

Owns the targets of the plan's phases 0 to 4 and of this package's README. The
plan's figures are sequential; ours are the same work on Hasten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten import Target
from hasten.apps.discovery.inputs import SAMPLES

if TYPE_CHECKING:
    from hasten import Trial

FAST = 20.0
"""The pace at which the report is made that is asked for again; faster, tools time out."""

ANNS = SAMPLES["chatbots"]
BOBS = {**ANNS, "experience_summary": "I drive a night bus and repair radios."}
OTHER_PLANS = {
    "goal_type": "Career Change",
    "time_commitment": "20+ hrs/week",
    "skill_strength": "Creative / Design",
}


async def cold(trial: Trial) -> float:
    """Return how long the first report takes."""
    return await trial.duration_s(ANNS)


async def first_text(trial: Trial) -> float:
    """Return when there is something to read."""
    return await trial.first_text_s(ANNS)


async def archetype(trial: Trial) -> float:
    """Return how long somebody waits who chose the same seven things as another."""
    await trial.run(ANNS)
    return await trial.duration_s(BOBS, user="bob")


async def tools_warm(trial: Trial) -> float:
    """Return how long somebody with other plans in the same market waits."""
    await trial.run(ANNS)
    return await trial.duration_s({**BOBS, **OTHER_PLANS}, user="bob")


async def rerun(trial: Trial) -> float:
    """Return how long the same person waits for the same inputs, on the wall."""
    await trial.run(ANNS, speed=FAST)
    return await trial.median_s(lambda: trial.run(ANNS))


async def again(trial: Trial) -> float:
    """Return how long the second of two equal reports takes."""
    return await trial.again_s(ANNS)


TARGETS = (
    Target(name="cold", about="a report", measure=cold, at_most=22.0, plan="< 30 s"),
    Target(
        name="first_text",
        about="first text to read",
        measure=first_text,
        at_most=1.0,
        plan="< 20 s",
    ),
    Target(
        name="archetype",
        about="a report for somebody alike",
        measure=archetype,
        at_most=15.0,
        plan="< 30 s",
    ),
    Target(
        name="tools_warm",
        about="a report in a known market",
        measure=tools_warm,
        at_most=18.0,
        plan="< 30 s",
    ),
    Target(
        name="rerun",
        about="the same inputs again",
        measure=rerun,
        at_most=0.005,
        clock="real",
        plan="< 1 s",
        baseline=again,
    ),
)
