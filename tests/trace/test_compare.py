"""Two groups of runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hasten.errors import InvalidInput
from hasten.trace.compare import compare
from tests.trace.making import trace_of

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def run_of_two(
    tool_s: float = 4, step_s: float = 10, cost_usd: float = 0.5, **fields: Any
) -> Trace:
    """Make a run of two phases: one tool, and one step that asks a model."""
    is_hit = fields.pop("is_hit", False)
    return trace_of(
        (1, "tool", "trends", 0, tool_s, {"phase": "research", "cache_hit": is_hit}),
        (1, "step", "advise", tool_s, step_s, {"phase": "advice"}),
        (3, "model", "sim", tool_s, step_s, {"cost_usd": cost_usd}),
        duration_s=step_s,
        **fields,
    )


def moved(before: list[Trace], after: list[Trace]) -> list[tuple[str, str, float]]:
    """Write the changes as subject, verdict and weight."""
    return [(one.subject, one.verdict, round(one.weight, 3)) for one in compare(before, after)]


def test_nothing_moved() -> None:
    """Equal groups have no changes."""
    assert compare([run_of_two()] * 3, [run_of_two()] * 5) == []


def test_slower_costlier_and_less_reused_are_ranked_together() -> None:
    """Each change weighs as its share of the whole, the worst first, the best last."""
    before = [run_of_two(tool_s=0, step_s=8, is_hit=True)] * 2
    after = [run_of_two(tool_s=4, step_s=10, cost_usd=0.6)] * 2
    found = moved(before, after)
    assert set(found) == {
        ("tool trends", "less reused", 1.0),
        ("run", "less reused", 1.0),
        ("phase research", "slower", 0.5),
        ("tool trends", "slower", 0.5),
        ("run", "slower", 0.25),
        ("run", "costlier", 0.2),
        ("phase advice", "costlier", 0.2),
        ("phase advice", "faster", -0.25),
    }
    weights = [weight for _, _, weight in found]
    assert weights == sorted(weights, reverse=True)


def test_the_other_way_round_everything_is_better() -> None:
    """What one direction calls worse the other calls better."""
    slow, fast = [run_of_two(step_s=20, cost_usd=1)], [run_of_two(is_hit=True)]
    worse = {(subject, verdict) for subject, verdict, weight in moved(fast, slow) if weight > 0}
    better = {(subject, verdict) for subject, verdict, weight in moved(slow, fast) if weight < 0}
    assert ("run", "slower") in worse
    assert ("run", "faster") in better
    assert ("tool trends", "less reused") in worse
    assert ("tool trends", "more reused") in better
    assert ("run", "cheaper") in better
    assert len(worse) == len(better)


def test_durations_are_medians_and_money_is_a_mean() -> None:
    """One outlier moves no median; every dollar counts."""
    before = [run_of_two() for _ in range(5)]
    after = [run_of_two() for _ in range(4)] + [run_of_two(step_s=500, cost_usd=3)]
    found = {(one.subject, one.measure): (one.before, one.after) for one in compare(before, after)}
    assert found == {
        ("run", "cost_usd"): (0.5, pytest.approx(1.0)),
        ("phase advice", "cost_usd"): (0.5, pytest.approx(1.0)),
    }


def test_work_that_came_or_went() -> None:
    """A new phase is slower than none; the side without it says so."""
    bare = trace_of((1, "step", "advise", 0, 10, {"phase": "advice"}))
    added = trace_of(
        (1, "step", "advise", 0, 10, {"phase": "advice"}),
        (1, "step", "check", 10, 15, {"phase": "check"}),
        duration_s=15,
    )
    came = {(one.subject, one.measure): one for one in compare([bare], [added])}
    assert came["phase check", "duration_ms"].before is None
    assert came["phase check", "duration_ms"].after == pytest.approx(5_000)
    assert came["phase check", "duration_ms"].weight == pytest.approx(0.5)
    went = {(one.subject, one.measure): one for one in compare([added], [bare])}
    assert went["phase check", "duration_ms"].after is None
    assert went["phase check", "duration_ms"].verdict == "faster"


def test_only_runs_of_one_kind_are_compared() -> None:
    """Across kinds, within a group and with an empty group it is refused."""
    other = run_of_two(clock="real")
    with pytest.raises(InvalidInput, match="different kinds"):
        compare([run_of_two()], [other])
    with pytest.raises(InvalidInput, match="several kinds"):
        compare([run_of_two(), other], [other])
    with pytest.raises(InvalidInput, match="no runs"):
        compare([run_of_two()], [])
