"""Conversations to measure with: a share of them common, the others nobody's but their own.

Owns the generator and its figures. A common conversation goes as one of ``patterns.toml``,
message by message, in a session of its own; every other one speaks of what no other does.
The targets, the experiments and ``python -m bench okr`` use it.
"""

from __future__ import annotations

import random
import statistics
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hasten import Trial

CONVERSATIONS = 20
SEED = 7

_WHO = ("clinics", "schools", "bakeries", "garages", "farms", "museums", "hotels", "libraries")
_WHAT = ("booking", "billing", "planning", "reporting", "training", "ordering", "delivery")

Conversation = tuple[str, ...]


class WorkloadFigures(NamedTuple):
    """What a workload came to; seconds a message, tokens in all."""

    average_s: float
    p50_s: float
    p95_s: float
    hit_rate: float
    tokens_in: int
    tokens_out: int


@cache
def common() -> tuple[Conversation, ...]:
    """Return the conversations that many teams have."""
    text = files(__package__).joinpath("patterns.toml").read_text(encoding="utf-8")
    return tuple(tuple(one["messages"]) for one in tomllib.loads(text)["conversation"])


def own(number: int) -> Conversation:
    """Return a conversation that no other team has."""
    whom = _WHO[number % len(_WHO)]
    what = _WHAT[number % len(_WHAT)]
    start = 20 + number
    return (
        f"Team {number} builds {what} tools for {whom}, and few of them come back. What now?",
        f"Objective: The {whom} of region {number} trust our {what} tools by the end of Q2",
        f"KR: Raise {whom} that come back each week from {start} to {start + 12} by 30 June",
        f"KR: Cut {what} mistakes that {whom} report from {start + 3} to {start - 8} by 30 June",
    )


def conversations(
    repeats: float, count: int = CONVERSATIONS, seed: int = SEED
) -> list[Conversation]:
    """Return ``count`` conversations, the share ``repeats`` of them common, in drawn order."""
    repeated = round(count * repeats)
    made = [common()[number % len(common())] for number in range(repeated)]
    made += [own(number) for number in range(count - repeated)]
    random.Random(seed).shuffle(made)  # noqa: S311 - reproducible on purpose
    return made


def inputs_of(talks: list[Conversation]) -> list[dict[str, Any]]:
    """Return the messages of the conversations as inputs, each in a session of its own."""
    return [
        {"session_id": f"w{number}", "message": message}
        for number, talk in enumerate(talks)
        for message in talk
    ]


async def work_through(trial: Trial, repeats: float) -> WorkloadFigures:
    """Say all messages of a workload, once what is common is warm. Raises a run's error."""
    if trial.mode == "hasten":
        (await trial.run({}, operation="warm")).value()
    took_s, hits, tokens_in, tokens_out = [], 0, 0, 0
    for asked in inputs_of(conversations(repeats)):
        outcome = await trial.run(asked)
        outcome.value()
        took_s.append(outcome.record.duration_s)
        hits += outcome.record.llm_calls == 0
        tokens_in += outcome.record.tokens_in
        tokens_out += outcome.record.tokens_out
    p95_s = statistics.quantiles(took_s, n=20)[-1]
    average_s, p50_s = statistics.fmean(took_s), statistics.median(took_s)
    return WorkloadFigures(average_s, p50_s, p95_s, hits / len(took_s), tokens_in, tokens_out)
