"""The coach's workload: a message's time and tokens at four shares of repeats, in both modes.

Simulated seconds, on the simulated model that takes the plan's time for a message. Twenty
conversations of four messages; the common ones were warmed, whose tokens are not counted.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from bench.harness import OURS, Case
from hasten.apps.okr import app
from hasten.apps.okr.workload import WorkloadFigures, conversations, inputs_of, work_through
from hasten.trial import try_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

TITLE = "okr: a message of the coach, baseline against hasten"

GOALS_S = {0.4: 2.3, 0.6: 1.5, 0.8: 0.8, 0.9: 0.4}
"""The mean of a message at most, by the share of repeats."""

FIGURES: dict[str, tuple[str, Callable[[WorkloadFigures], float]]] = {
    "average": ("s", lambda found: found.average_s),
    "P50": ("s", lambda found: found.p50_s),
    "P95": ("s", lambda found: found.p95_s),
    "asked of the model": ("%", lambda found: 100 * (1 - found.hit_rate)),
    "tokens in": ("a message", lambda found: found.tokens_in / _messages()),
    "tokens out": ("a message", lambda found: found.tokens_out / _messages()),
}


def cases(shares: tuple[float, ...] = tuple(GOALS_S)) -> list[Case]:
    """Return what is measured."""
    return [
        Case(
            f"{share:.0%} repeats, {name}",
            unit,
            {"baseline": partial(_figure, "baseline", share, name)}
            | {OURS: partial(_figure, "hasten", share, name)},
            goal=GOALS_S[share] if name == "average" else None,
            bare="baseline",
        )
        for share in shares
        for name, (unit, _) in FIGURES.items()
    ]


def quick_cases() -> list[Case]:
    """Return one share alone."""
    return cases((0.9,))


def _figure(mode: str, share: float, name: str) -> float:
    return FIGURES[name][1](_worked(mode, share))


@cache
def _worked(mode: str, share: float) -> WorkloadFigures:
    return try_virtually(app, lambda trial: work_through(trial, share), mode)


def _messages() -> int:
    return len(inputs_of(conversations(0.0)))
