"""What the persona application states, and how it is measured: ``hasten check persona``.

Owns the targets of the plan's benchmarks and success criteria.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from hasten import SimProfile, Target
from hasten.apps.persona.inputs import COMPARE_SAMPLES, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten import Trial

PROFILE = SimProfile(
    name="sim-persona",
    ttft_s=0.30,
    prefill_tokens_per_s=8_000.0,
    decode_tokens_per_s=295.0,
    jitter=0.02,
)
"""Calibrated so that the baseline's calls take the plan's 2-3, 2-3 and 2 s."""

SLOPPY = replace(PROFILE, malformed_rate=0.05)
FAST = 200.0
MARTA = SAMPLES["Marta"]
PERSONAS = tuple(f"p{number:02d}" for number in range(1, 21))
CALLS = 500
ANSWERS_A_LOAD = 3


async def cold(trial: Trial) -> float:
    """Return how long the first load of a persona's details takes."""
    return await trial.duration_s(MARTA)


def step_s(name: str) -> Callable[[Trial], Awaitable[float]]:
    """Return how to measure one step of a cold load."""

    async def measure(trial: Trial) -> float:
        outcome = await trial.run(MARTA)
        outcome.value()
        return next(span.duration_s for span in outcome.spans if span.name == name)

    return measure


async def cached(trial: Trial) -> float:
    """Return how long a load takes of what was loaded before, on the wall."""
    await trial.run(MARTA, speed=FAST)
    return await trial.median_s(lambda: trial.run(MARTA))


async def again(trial: Trial) -> float:
    """Return how long the second of two equal loads takes."""
    return await trial.again_s(MARTA)


async def kpi_cached(trial: Trial) -> float:
    """Return how long the figures take of a segment that another persona is in."""
    await trial.run({"persona_id": "p01"})
    outcome = await trial.run({"persona_id": "p05"})
    return next(span.duration_s for span in outcome.spans if span.name == "kpi")


async def three(trial: Trial) -> float:
    """Return how long three personas side by side take."""
    return await trial.duration_s(COMPARE_SAMPLES["three buyers"], operation="compare")


async def tokens(trial: Trial) -> float:
    """Return the mean tokens of a cold load, in and out."""
    outcomes = [await trial.run({"persona_id": one}) for one in PERSONAS[:8]]
    return statistics.mean(one.record.tokens_in + one.record.tokens_out for one in outcomes)


async def kpi_hit_rate(trial: Trial) -> float:
    """Return how many of 20 personas in 4 segments find their figures there, in percent."""
    outcomes = [await trial.run({"persona_id": one}) for one in PERSONAS]
    spans = [span for one in outcomes for span in one.spans if span.name == "kpi"]
    return 100 * sum(bool(span.attributes.get("cache_hit")) for span in spans) / len(spans)


async def parse_errors(trial: Trial) -> float:
    """Return how many of 500 answers reach the caller as errors when 5 % are malformed."""
    failed = 0
    for _ in range(CALLS // (len(PERSONAS) * ANSWERS_A_LOAD) + 1):
        for persona_id in PERSONAS:
            failed += (await trial.run({"persona_id": persona_id})).error is not None
        await trial.forget("tag=persona-details")
    return failed


TARGETS = (
    Target(name="cold", about="details, cold", measure=cold, at_most=2.2, plan="< 3 s"),
    Target(
        name="cached",
        about="details, cached",
        measure=cached,
        at_most=0.005,
        clock="real",
        plan="< 50 ms",
        baseline=again,
    ),
    Target(name="compare", about="three personas compared", measure=three, at_most=2.5, plan="2 s"),
    Target(
        name="tokens",
        about="tokens a load, in and out",
        measure=tokens,
        at_most=5_500,
        unit="",
        plan="5,500",
    ),
    Target(
        name="parse_errors",
        about="parse errors, 5 % malformed",
        measure=parse_errors,
        at_most=0,
        unit="",
        plan="0",
        changes={"profile": SLOPPY},
    ),
    Target(
        name="journey",
        about="the journey",
        measure=step_s("journey"),
        at_most=2.0,
        plan="< 2 s",
        is_raced=False,
    ),
    Target(
        name="needs",
        about="needs and pains",
        measure=step_s("needs"),
        at_most=2.0,
        plan="< 2 s",
        is_raced=False,
    ),
    Target(
        name="messaging",
        about="the messaging",
        measure=step_s("messaging"),
        at_most=1.5,
        plan="< 1.5 s",
        is_raced=False,
    ),
    Target(
        name="kpi",
        about="a segment's figures",
        measure=step_s("kpi"),
        at_most=0.3,
        plan="< 300 ms",
        is_raced=False,
    ),
    Target(
        name="kpi_cached",
        about="the figures of a known segment",
        measure=kpi_cached,
        at_most=0.05,
        plan="< 50 ms",
        has_baseline=False,
        is_raced=False,
    ),
    Target(
        name="kpi_hit_rate",
        about="figures found, 4 segments",
        measure=kpi_hit_rate,
        at_least=70,
        unit="%",
        plan="> 70 %",
        has_baseline=False,
        is_raced=False,
    ),
)
