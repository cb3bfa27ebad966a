"""A day of the consultant: what it asks of model, database and network, in both modes.

Simulated. The mix is taken from the words of its plan, and nothing in it is fitted to the
plan's outcome:

- *mixed endpoints (analyze, chat, forecast)*: each a third of the requests;
- an analysis has one, three or five frameworks (the plan's table), equally often;
- *4,200 LLM calls a day* before anything was optimised: at seven calls for the mean
  analysis, one for an answer and one for a forecast, 1,400 requests;
- *100 concurrent users*: a hundred people, who come at any time of the day.

Of what is asked again the plan says nothing, and it decides more than all else. Here the
companies are the twelve of the sample, the first the likeliest (Zipf, exponent 1, as in
``population``), and nobody asks twice on purpose. Who has no analysis yet makes one before
they talk about it. Each person waits for an answer before they ask again.
"""

from __future__ import annotations

import asyncio
import gzip
import random
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import orjson

from bench.harness import OURS, Case
from bench.population import zipf
from hasten.apps.consultant import app
from hasten.apps.consultant.forecast import Metric
from hasten.apps.consultant.inputs import FRAMEWORKS
from hasten.apps.consultant.sources import companies
from hasten.serve.app import COMPRESSED_FROM_BYTES, COMPRESSION
from hasten.trial import try_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten import Trial
    from hasten.graph.outcome import Outcome

TITLE = "consultant: a mixed day, baseline against hasten"

REQUESTS = 1_400
PEOPLE = 100
DAY_S = 86_400.0
SEED = 7

OPERATIONS = ("", "chat", "forecast")
"""An analysis is the application's main run, and has no operation's name."""

DEPTHS = (1, 3, 5)
QUESTIONS = (
    "Who are its rivals, and how do they win customers?",
    "Can the company bear more debt?",
    "What would a new owner change first?",
    "Which risk is closest?",
)

READS = ("select", "get_many", "read")
"""How the names of storage spans begin that read."""


class Visit(NamedTuple):
    """When somebody asks for what."""

    at_s: float
    operation: str
    inputs: dict[str, Any]


@dataclass(slots=True)
class Day:
    """What a day came to; ``found`` and ``wanted`` count what was looked up in the cache."""

    model_calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    reads: int = 0
    bytes_out: int = 0
    found: int = 0
    wanted: int = 0

    @property
    def made_percent(self) -> float:
        """How much of what was looked up had to be made; all of it without a cache."""
        return 100.0 * (1 - self.found / self.wanted) if self.wanted else 100.0

    def add(self, outcome: Outcome, *, is_compressed: bool) -> None:
        """Count one request."""
        record = outcome.record
        self.model_calls += record.llm_calls
        self.tokens += record.tokens_in + record.tokens_out
        self.cost_usd += record.cost_usd
        self.reads += sum(
            span.kind == "storage" and span.name.startswith(READS) for span in outcome.spans
        )
        body = orjson.dumps({"run_id": record.run_id, **record.outputs})
        if is_compressed and len(body) >= COMPRESSED_FROM_BYTES:
            body = gzip.compress(body, COMPRESSION)
        self.bytes_out += len(body)


FIGURES: dict[str, tuple[str, Callable[[Day], float], float | None]] = {
    "model calls": ("a day", lambda day: day.model_calls, 1 - 0.57),
    "tokens": ("a day", lambda day: day.tokens, None),
    "money for models": ("USD a day", lambda day: day.cost_usd, 1 - 0.51),
    "storage reads": ("a day", lambda day: day.reads, 1 - 0.62),
    "bytes out": ("MB a day", lambda day: day.bytes_out / 1e6, 1 - 0.54),
    "not found in the cache": ("%", lambda day: day.made_percent, 1 - 0.65),
}
"""By name: the unit, the figure, and what ours shall be of the baseline's, by the plan."""


def cases(requests: int = REQUESTS) -> list[Case]:
    """Return what is measured."""
    return [
        Case(
            name,
            unit,
            {mode: partial(_figure, mode, requests, name) for mode in ("baseline", OURS)},
            bare="baseline",
            goal_ratio=goal_ratio,
        )
        for name, (unit, _, goal_ratio) in FIGURES.items()
    ]


def quick_cases() -> list[Case]:
    """Return a fourteenth of a day."""
    return cases(100)


def _figure(mode: str, requests: int, name: str) -> float:
    return FIGURES[name][1](live(mode, requests))


@cache
def live(mode: str, requests: int) -> Day:
    """Return what a day of so many requests comes to in one mode."""
    drawn = visits(random.Random(SEED), requests)
    return try_virtually(app, partial(_live, drawn=drawn), mode, seed=SEED)


async def _live(trial: Trial, drawn: dict[str, list[Visit]]) -> Day:
    day, began_s = Day(), trial.clock.monotonic()

    async def one(user: str) -> None:
        for visit in drawn[user]:
            await trial.clock.sleep(max(0.0, began_s + visit.at_s - trial.clock.monotonic()))
            outcome = await trial.run(visit.inputs, operation=visit.operation, user=user)
            outcome.value()
            day.add(outcome, is_compressed=trial.mode == OURS)

    await asyncio.gather(*map(one, drawn))
    for row in trial.cache.stats.rows() if trial.mode == OURS else ():
        found = row.hits + row.stale + row.collapsed
        day.found += found
        day.wanted += found + row.misses
    return day


def visits(draw: random.Random, requests: int) -> dict[str, list[Visit]]:
    """Draw a day: by person, what they ask, the first thing first."""
    found: dict[str, list[Visit]] = {f"user{number}": [] for number in range(PEOPLE)}
    for at_s in sorted(draw.uniform(0, DAY_S) for _ in range(requests)):
        own = found[draw.choice(list(found))]
        operation = draw.choice(OPERATIONS)
        if operation == "chat" and not any(visit.operation == "" for visit in own):
            operation = ""
        own.append(Visit(at_s, operation, _inputs(draw, operation)))
    return found


def _inputs(draw: random.Random, operation: str) -> dict[str, Any]:
    if operation == "chat":
        return {"message": draw.choice(QUESTIONS)}
    company = zipf(draw, [*companies()])
    if operation == "forecast":
        return {"company": company, "metric": draw.choice(get_args(Metric))}
    return {"company": company, "frameworks": draw.sample(FRAMEWORKS, draw.choice(DEPTHS))}
