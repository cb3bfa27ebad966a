"""What the temple states, and how each figure is measured: ``hasten check fortune``.

Owns the targets of the plan: no wait in a queue, the first text, the whole, a repeat.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

from hasten import Target
from hasten.apps.fortune.inputs import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten import Trial

FAST = 1_000.0
"""The pace at which a real trial makes the answer that is asked for again."""

AT_ONCE = 50
"""How many questions are under way at the same time."""

ARRIVE_EVERY_S = 0.02
"""How soon one comes after another: the last has come long before the first is answered."""

ASKED = SAMPLES["love"]
QUEUE_SAMPLE = [{**ASKED, "question": f"Is {year} a good year?"} for year in range(2000, 2020)]


async def whole(trial: Trial) -> float:
    """Return how long an interpretation takes, on average over many questions."""
    took_s = [await trial.duration_s(asked) for asked in QUEUE_SAMPLE]
    return sum(took_s) / len(took_s)


async def first_text(trial: Trial) -> float:
    """Return when there is something to read."""
    return await trial.first_text_s(ASKED)


async def picked_up(trial: Trial) -> float:
    """Return the usual time from asking until work begins, of questions that come alone."""
    waits_s = []
    for asked in [ASKED, *QUEUE_SAMPLE]:
        (wait,) = await trial.pick_ups([asked], ARRIVE_EVERY_S)
        waits_s.append(wait.begun_s)
    return statistics.median(waits_s[1:])


def at_once(which: Literal["queued_s", "begun_s"]) -> Callable[[Trial], Awaitable[float]]:
    """Return how to measure the longest wait of fifty questions under way at once."""

    async def measure(trial: Trial) -> float:
        await trial.pick_ups([ASKED], ARRIVE_EVERY_S)
        questions = [{**ASKED, "question": f"Question {number}?"} for number in range(AT_ONCE)]
        waits = await trial.pick_ups(questions, ARRIVE_EVERY_S)
        return max(float(getattr(wait, which)) for wait in waits)

    return measure


async def queued(trial: Trial) -> float:
    """Return the longest of the baseline's waits for its queue."""
    waits_s = []
    for asked in QUEUE_SAMPLE:
        outcome = await trial.run(asked)
        waits_s += [span.duration_s for span in outcome.spans if span.name == "queued"]
    return max(waits_s)


async def repeat(trial: Trial) -> float:
    """Return how long the same person waits for the same question, on the wall."""
    await trial.run(ASKED, speed=FAST)
    return await trial.median_s(lambda: trial.run(ASKED))


async def again(trial: Trial) -> float:
    """Return how long the second of two equal questions takes."""
    return await trial.again_s(ASKED)


TARGETS = (
    Target(name="whole", about="an interpretation", measure=whole, at_most=12.0, plan="35–36 s"),
    Target(
        name="first_text", about="first text to read", measure=first_text, at_most=1.0, plan="–"
    ),
    Target(
        name="picked_up",
        about="asked until work begins",
        measure=picked_up,
        at_most=0.005,
        clock="real",
        plan="0 s",
        baseline=queued,
    ),
    Target(
        name="queued_at_once",
        about="in the queue, 50 at once",
        measure=at_once("queued_s"),
        at_most=0.005,
        clock="real",
        plan="0 s",
        baseline=queued,
    ),
    Target(
        name="begun_at_once",
        about="until work begins, 50 at once",
        measure=at_once("begun_s"),
        at_most=0.005,
        clock="real",
        plan="0 s",
        baseline=queued,
        is_raced=False,
    ),
    Target(
        name="repeat",
        about="the same question again",
        measure=repeat,
        at_most=0.050,
        clock="real",
        plan="35 s",
        baseline=again,
    ),
)
