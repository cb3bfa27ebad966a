"""What the consultant states, and how it is measured: ``hasten check consultant``.

Owns the targets of the plan's performance goals.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hasten import SimProfile, Target
from hasten.apps.consultant.inputs import SAMPLES
from hasten.apps.consultant.sources import companies

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

FAULTY = replace(PROFILE, error_rate=0.05)
FAST = 20.0
QUESTIONS = ("Who are its rivals?", "And what do they ask of it?", "Can it bear more debt?")
ROUNDS = 9


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


async def reply(trial: Trial) -> float:
    """Return how long an answer takes, on average over a talk."""
    await trial.run(SAMPLES["five"])
    took_s = [
        await trial.duration_s({"message": one}, operation="chat", user="ann") for one in QUESTIONS
    ]
    return sum(took_s) / len(took_s)


async def forecast(trial: Trial) -> float:
    """Return how long a forecast takes of a company that nothing is known of."""
    return await trial.duration_s("revenue", operation="forecast")


async def failures(trial: Trial) -> float:
    """Return how many of a hundred analyses fail when 5 % of the model's calls do, in percent."""
    failed = asked = 0
    for _ in range(ROUNDS):
        for company in companies():
            failed += (await trial.run({"company": company})).status == "failed"
            asked += 1
        await trial.forget("tag=analysis")
    return 100 * failed / asked


def under_load(profile: str, users: int, bounds: dict[str, float], a_second: float) -> list[Target]:
    """Return the targets of a load test, as the plan has its results: seconds by figure."""
    cells = [
        Target(
            name=f"{profile}_{figure}",
            about=f"{figure.upper()} at {users} users",
            clock="load",
            load=f"{profile}.{figure}_s",
            at_most=most_s,
            plan=f"{most_s:g} s",
        )
        for figure, most_s in bounds.items()
    ]
    rate = Target(
        name=f"{profile}_rate",
        about=f"requests a second, {users} users",
        clock="load",
        load=f"{profile}.requests_per_s",
        at_least=a_second,
        unit="/s",
        plan=f"{a_second:g}",
    )
    return [*cells, rate, no_failures(profile, users)]


def no_failures(profile: str, users: int) -> Target:
    """Return the target that no request of a load test fails."""
    return Target(
        name=f"{profile}_failures",
        about=f"failures at {users} users",
        clock="load",
        load=f"{profile}.failures",
        at_most=0,
        unit="",
    )


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
    Target(name="reply", about="an answer in a talk", measure=reply, at_most=1.8, plan="1.8 s"),
    Target(name="forecast", about="a forecast", measure=forecast, at_most=3.2, plan="3.2 s"),
    Target(
        name="failures",
        about="failures, 5 % of calls failing",
        measure=failures,
        at_most=1,
        unit="%",
        plan="0.18 %",
        has_baseline=False,
        changes={"profile": FAULTY},
        is_raced=False,
    ),
    *under_load("normal", 100, {"p50": 1.25, "p95": 3.1, "p99": 5.4}, a_second=41),
    *under_load("burst", 500, {"p50": 2.8, "p95": 8.2, "p99": 12.1}, a_second=74),
    Target(
        name="sustained_memory",
        about="memory's growth, 50 users for 30 minutes",
        clock="load",
        load="sustained.memory_growth_percent",
        at_most=5.0,
        unit="%",
        plan="flat",
    ),
    no_failures("sustained", 50),
)
