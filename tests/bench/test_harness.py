"""The benchmark harness: turns, medians, ratios, goals, and what is shown of them."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bench.harness import OURS, Case, as_json, as_markdown, measure, show

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_contestants_take_turns_and_the_median_counts() -> None:
    """One repeat of each before the next of any; one that cannot is left out."""
    turns: list[str] = []

    def run(name: str, figures: Iterator[float]) -> float:
        turns.append(name)
        return next(figures)

    runners = {
        OURS: partial(run, OURS, iter([3.0, 9.0, 4.0])),
        "peer": "not installed",
        "bare": partial(run, "bare", iter([1.0, 2.0, 30.0])),
    }
    (result,) = measure([Case("cost", "µs", runners, goal=4, bare="bare")], repeats=3)
    assert turns == [OURS, "bare"] * 3
    assert (result.median(OURS), result.median("bare"), result.median("peer")) == (4, 2, None)
    assert (result.ratio(OURS), result.ratio("peer")) == (2, None)
    assert result.is_met is True


@pytest.mark.parametrize(("goal", "is_met"), [(1.9, False), (2.0, True), (None, None)])
def test_a_goal_is_met_or_not_or_not_there(goal: float | None, is_met: object) -> None:
    """Our median shall not exceed it."""
    (result,) = measure([Case("cost", "µs", {OURS: lambda: 2.0}, goal=goal)], repeats=1)
    assert result.is_met is is_met


@pytest.mark.parametrize(("goal_ratio", "is_met"), [(1.9, False), (2.0, True)])
def test_a_goal_may_be_a_ratio(goal_ratio: float, is_met: object) -> None:
    """Then it is our ratio to the bare one that shall not exceed it."""
    runners = {OURS: lambda: 4.0, "bare": lambda: 2.0}
    case = Case("cost", "µs", runners, bare="bare", goal_ratio=goal_ratio)
    (result,) = measure([case], repeats=1)
    assert result.is_met is is_met
    assert f"≤ ×{goal_ratio:g} {'✓' if is_met else '✗'}" in as_markdown([result])


def test_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a case with figures, ratios and goals; the same as JSON, with every repeat."""
    runners = {OURS: lambda: 1234.5, "peer": "not installed", "bare": lambda: 12.345}
    results = measure([Case("cost", "µs", runners, goal=1, bare="bare")], repeats=2)
    show("What it costs", results)
    shown = capsys.readouterr().out
    for part in ("What it costs", "1,234 (×100)", "12.3 (×1)", "not installed", "≤ 1 ✗"):
        assert part in shown
    assert "median of 2; × is against bare" in shown
    assert as_markdown(results).splitlines()[2] == (
        "| cost | µs | 1,234 (×100) | not installed | 12.3 (×1) | ≤ 1 ✗ |"
    )
    found = json.loads(as_json("some", results))
    assert (found["schema"], found["bench"]) == (1, "some")
    (case,) = found["cases"]
    assert (case["is_met"], case["goal"], case["unit"]) == (False, 1, "µs")
    assert case["contestants"]["peer"] == {"missing": "not installed"}
    assert case["contestants"]["bare"] == {
        "median": 12.345,
        "ratio": 1.0,
        "figures": [12.345, 12.345],
    }
