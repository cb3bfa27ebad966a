"""An experiment: a baseline and a variant on the same inputs, and what may be concluded.

Owns ``Experiment`` (what an application declares), scoring the pairs and the
verdict. Leaves running both arms to ``hasten.trial``, checks to ``answer``, the
judge to ``judge``. Pure, but for the judge it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hasten.quality import answer as checks
from hasten.quality.interval import Interval, ratio_interval, share_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel

    from hasten.quality.answer import Answer
    from hasten.quality.judge import Judged

AT_LEAST = 0.9
"""What a variant must keep of the baseline's quality (okr and persona plans)."""

Conclusion = Literal["kept", "lost", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A comparison that an application declares.

    ``baseline`` and ``variant`` are what ``Trial.run`` is told in each arm, such as
    ``{"mode": "hasten"}``, and may have ``changes`` of the manifest. Each arm answers all
    ``inputs`` (values or names of samples), in order, with a cache of its own; so inputs
    that repeat are answered as they would be.

    Checks, each giving 0 to 1: ``sections`` that must be there, ``schemas`` that outputs
    must satisfy, ``facts`` of the person that the text must use, how many ``words``
    it has, ``fresh_share``, and others by name. ``is_judged``: a judge is asked, too,
    where there is one: a simulated model is none.
    The variant must keep ``at_least`` of the baseline's quality.
    """

    name: str
    about: str
    inputs: Sequence[Mapping[str, Any] | str]
    baseline: Mapping[str, Any] = field(default_factory=lambda: {"mode": "baseline"})
    variant: Mapping[str, Any] = field(default_factory=lambda: {"mode": "hasten"})
    sections: Sequence[str] = ()
    schemas: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    facts: Callable[[Mapping[str, Any]], Sequence[str]] | None = None
    words: tuple[int, int] | None = None
    fresh_share: float | None = None
    checks: Mapping[str, Callable[[Answer], float]] = field(default_factory=dict)
    is_judged: bool = False
    at_least: float = AT_LEAST

    def scores(self, one: Answer) -> dict[str, float]:
        """Return what each check gives an answer; an answer that failed gets nothing."""
        found = {name: score(one) for name, score in self._checks().items()}
        return found if one.outputs else dict.fromkeys(found, 0.0)

    def _checks(self) -> dict[str, Callable[[Answer], float]]:
        made: dict[str, Callable[[Answer], float]] = {
            "answered": lambda one: float(bool(one.outputs))
        }
        if self.sections:
            made["sections"] = lambda one: checks.sections_score(one, self.sections)
        if self.schemas:
            made["schemas"] = lambda one: checks.schema_score(one, self.schemas)
        if (facts := self.facts) is not None:
            made["facts"] = lambda one: checks.facts_score(one, facts(one.inputs))
        if (words := self.words) is not None:
            made["words"] = lambda one: checks.words_score(one, *words)
        if (share := self.fresh_share) is not None:
            made["fresh_share"] = lambda one: checks.fresh_score(one, share)
        return {**made, **self.checks}


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an experiment of ``pairs`` pairs.

    ``scores`` are the means per check, baseline and variant. ``quality`` is the
    variant's mean over the baseline's with its interval, of the checks, or of the
    judge's scores where those are lower; ``wins`` is how often the judge
    preferred the variant. ``saved`` is the share of the baseline's tokens, seconds and
    money that the variant did without.
    """

    app: str
    name: str
    pairs: int
    at_least: float
    scores: dict[str, tuple[float, float]]
    quality: Interval
    wins: Interval | None
    saved: dict[str, float]
    conclusion: Conclusion
    reasons: list[str] = []

    @property
    def is_held(self) -> bool:
        """Whether the variant surely kept enough."""
        return self.conclusion == "kept"


def conclude(
    app: str,
    experiment: Experiment,
    pairs: Sequence[tuple[Answer, Answer]],
    judged: Sequence[Judged] = (),
) -> ExperimentResult:
    """Return what the pairs of baseline and variant show."""
    scored = [(experiment.scores(before), experiment.scores(after)) for before, after in pairs]
    names = list(scored[0][0])
    means = {name: (_mean(scored, 0, name), _mean(scored, 1, name)) for name in names}
    by_check = [(fmean(before.values()), fmean(after.values())) for before, after in scored]
    quality = ratio_interval(by_check)
    wins = None
    if judged:
        by_judge = ratio_interval([(one.baseline, one.variant) for one in judged])
        quality = min(quality, by_judge, key=lambda found: found.low)
        means["judge"] = (
            fmean(one.baseline for one in judged),
            fmean(one.variant for one in judged),
        )
        won = sum(_won(one) for one in judged)
        wins = share_interval(won, len(judged))
    return ExperimentResult(
        app=app,
        name=experiment.name,
        pairs=len(pairs),
        at_least=experiment.at_least,
        scores=means,
        quality=quality,
        wins=wins,
        saved=_saved(pairs),
        conclusion=_conclusion(quality, experiment.at_least),
        reasons=[reason for one in judged for reason in one.reasons if reason],
    )


def _conclusion(quality: Interval, at_least: float) -> Conclusion:
    if quality.low >= at_least:
        return "kept"
    return "lost" if quality.high < at_least else "undecided"


def _won(one: Judged) -> float:
    return 0.5 if one.variant == one.baseline else float(one.variant > one.baseline)


def _mean(
    scored: Sequence[tuple[dict[str, float], dict[str, float]]], arm: int, name: str
) -> float:
    return fmean(pair[arm][name] for pair in scored)


def _saved(pairs: Sequence[tuple[Answer, Answer]]) -> dict[str, float]:
    """Return the share of each figure that the variant did without; nothing of nothing is 0."""
    found = {}
    for name in ("tokens_in", "tokens_out", "duration_s", "cost_usd"):
        before = math.fsum(getattr(one, name) for one, _ in pairs)
        after = math.fsum(getattr(two, name) for _, two in pairs)
        found[name] = 1 - after / before if before else 0.0
    return found
