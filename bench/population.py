"""How often a population of people finds what others, or they themselves, asked before.

A seeded crowd uses discovery for eight weeks of virtual time: profiles are drawn
field by field, the first choice of a field the likeliest (Zipf, exponent 1); half of
the visits are followed by another of the same person within two weeks, with the same
inputs, a rewritten summary or one other choice. Rates depend on these assumptions
more than on anything else; they are shown as the share that had to be made, next to
what the discovery plan expects (tools found 40 to 60 %, archetypes 20 to 30 %, whole
reports 5 to 10 %).
"""

from __future__ import annotations

import functools
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from statistics import fmean
from typing import TYPE_CHECKING, Any, get_args

from bench.harness import OURS, Case
from hasten import virtual
from hasten.apps.discovery import app
from hasten.apps.discovery.inputs import SUB_AREAS, DiscoveryInputs
from hasten.cache.cache import Cache
from hasten.caller import Caller
from hasten.clock import current_clock
from hasten.graph.outcome import RunOptions
from hasten.model.chain import build_chain
from hasten.model.simulated import SimulatedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hasten.graph.outcome import Outcome

TITLE = "Discovery: what a population of 300 finds made already"

PEOPLE = 300
WEEKS = 8
DAY_S = 86_400.0
RETURN_SHARE = 0.5
RETURN_DAYS = 14
DETAILED_SHARE = 0.15
"""How many people tell more than the 500 characters above which little is shared."""

CHANGES = {"nothing": 1, "summary": 2, "choice": 2}
"""What somebody who comes again has changed, by weight."""

TOOLS = frozenset(
    (
        "research_market_trends",
        "analyze_competitors",
        "estimate_market_size",
        "assess_startup_risks",
        "estimate_startup_costs",
    )
)
ARCHETYPE = frozenset(("operating_constraints", "opportunity", "strengths", "skill_gaps"))
MARKET = frozenset(("market_direction", "competition", "market_sizing"))
RISK = frozenset(("risk_answers",))
KEPT = TOOLS | ARCHETYPE | MARKET | RISK

Visit = tuple[float, str, dict[str, Any]]
"""When, who, with which inputs."""


@dataclass(slots=True)
class Crowd:
    """What came of one crowd: by name how often each thing was wanted and found, and the times."""

    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    durations_s: list[float] = field(default_factory=list)

    def made_pct(self, names: frozenset[str]) -> float:
        """Return the percentage of ``names`` that had to be made."""
        wanted = sum(self.wanted[name] for name in names)
        return 100 * (1 - sum(self.found[name] for name in names) / wanted)

    def add(self, outcome: Outcome) -> None:
        """Count one visit."""
        self.durations_s.append(outcome.record.duration_s)
        self._count("report", is_found=bool(outcome.record.reuse.get("cached")))
        for span in outcome.spans:
            if span.kind in ("tool", "step") and span.name in KEPT:
                self._count(span.name, is_found="cache_hit" in span.attributes)

    def _count(self, name: str, *, is_found: bool) -> None:
        self.wanted[name] += 1
        self.found[name] += is_found


def cases() -> list[Case]:
    """Return what is measured; each repeat draws another crowd."""
    shown = [
        ("tools asked", "% of calls", TOOLS, 60),
        ("profile blocks written", "% of blocks", ARCHETYPE, 80),
        ("market blocks written", "% of blocks", MARKET, None),
        ("risk block written", "% of blocks", RISK, None),
        ("whole reports made", "% of visits", frozenset(("report",)), 95),
    ]
    shares = [
        Case(
            name,
            unit,
            {OURS: _of_each_crowd(lambda crowd, names=names: crowd.made_pct(names))},
            goal,
        )
        for name, unit, names, goal in shown
    ]
    seconds = _of_each_crowd(lambda crowd: fmean(crowd.durations_s))
    return [*shares, Case("a report, on average", "simulated s", {OURS: seconds})]


def _of_each_crowd(figure: Callable[[Crowd], float]) -> Callable[[], float]:
    """Return a runner that takes the figure of the first crowd, then of the second, and so on."""
    seeds = itertools.count()
    return lambda: figure(play(next(seeds)))


@functools.cache
def play(seed: int) -> Crowd:
    """Play the crowd that ``seed`` draws."""
    drawn = sorted(visits(random.Random(seed)), key=itemgetter(0))
    return virtual.run(_play(drawn), seed=seed)


async def _play(drawn: Sequence[Visit]) -> Crowd:
    crowd, clock = Crowd(), current_clock()
    async with Cache() as cache:
        began_s = clock.monotonic()
        for at_s, user, inputs in drawn:
            await clock.sleep(max(0.0, began_s + at_s - clock.monotonic()))
            crowd.add(await _report(cache, user, inputs))
    return crowd


async def _report(cache: Cache, user: str, inputs: dict[str, Any]) -> Outcome:
    options = RunOptions(
        app=app.name,
        mode="hasten",
        caller=Caller("crowd", user),
        simulated=True,
        cache=cache,
        rerun=app.rerun,
    )
    given = app.resources(build_chain(SimulatedModel(app.profile)), is_simulated=True)
    return await app.graph("hasten").run(inputs, options=options, **given)


def visits(draw: random.Random) -> Iterator[Visit]:
    """Yield the visits of a crowd, person by person."""
    for number in range(PEOPLE):
        at_s, inputs = draw.uniform(0, WEEKS * 7 * DAY_S), profile(draw)
        yield at_s, f"user{number}", inputs
        while draw.random() < RETURN_SHARE:
            at_s += draw.uniform(0, RETURN_DAYS * DAY_S)
            inputs = changed(draw, inputs)
            yield at_s, f"user{number}", inputs


def profile(draw: random.Random) -> dict[str, Any]:
    """Draw one person's inputs."""
    inputs = {name: zipf(draw, choices) for name, choices in _choices().items()}
    inputs["sub_interest_area"] = zipf(draw, SUB_AREAS[inputs["interest_area"]])
    return {**inputs, "experience_summary": summary(draw)}


def changed(draw: random.Random, inputs: dict[str, Any]) -> dict[str, Any]:
    """Draw what the same person asks next."""
    what = draw.choices(list(CHANGES), list(CHANGES.values()))[0]
    if what == "nothing":
        return inputs
    if what == "summary":
        return {**inputs, "experience_summary": summary(draw)}
    choices = _choices()
    name = draw.choice(list(choices))
    others = [one for one in choices[name] if one != inputs[name]]
    inputs = {**inputs, name: zipf(draw, others)}
    if name == "interest_area":
        inputs["sub_interest_area"] = zipf(draw, SUB_AREAS[inputs["interest_area"]])
    return inputs


def summary(draw: random.Random) -> str:
    """Draw a summary nobody else has."""
    years, sentences = draw.randrange(1, 40), 12 if draw.random() < DETAILED_SHARE else 3
    lines = (
        f"I spent {years} years on work number {draw.randrange(10**6)}." for _ in range(sentences)
    )
    return " ".join(lines)


def zipf(draw: random.Random, choices: Sequence[str]) -> str:
    """Draw one of ``choices``: the second half as likely as the first, and so on."""
    return draw.choices(choices, [1 / rank for rank in range(1, len(choices) + 1)])[0]


@functools.cache
def _choices() -> dict[str, tuple[str, ...]]:
    fields = DiscoveryInputs.model_fields.items()
    return {name: found for name, field in fields if (found := get_args(field.annotation))}
