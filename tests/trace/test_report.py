"""Figures over many runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.errors import InvalidInput
from hasten.trace.report import (
    Percentiles,
    RunKind,
    bottlenecks,
    by_kind,
    percentile,
    percentiles,
    repeated_calls,
    run_times,
)
from tests.trace.making import trace_of, traces

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def two_steps(first_s: float, second_s: float, **fields: Any) -> Trace:
    """Make a run of two steps in a row with a tool in the first and one step beside them."""
    end_s = first_s + second_s
    return trace_of(
        (1, "step", "first", 0, first_s, {"phase": "research", "after": []}),
        (2, "tool", "trends", 0, first_s / 2, {"params": {"area": "AI"}}),
        (1, "step", "second", first_s, end_s, {"phase": "advice", "after": ["first"]}),
        (1, "step", "beside", 0, 1, {"phase": "profile", "after": []}),
        duration_s=end_s,
        **fields,
    )


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=50))
def test_percentiles_are_those_of_the_standard_library(values: list[float]) -> None:
    """The method is Python's ``inclusive`` one, whatever the order of the values."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = percentiles(values)
    assert found.count == len(values)
    assert found.p50_ms == pytest.approx(cuts[49])
    assert found.p95_ms == pytest.approx(cuts[94])
    assert found.p99_ms == pytest.approx(cuts[98])


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_percentiles_rise_with_the_share(values: list[float], one: float, other: float) -> None:
    """They lie between the least and the greatest value, in order."""
    low, high = sorted((one, other))
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile(values, low) <= percentile(values, high) * (1 + 1e-12)


def test_one_run_is_its_own_percentiles() -> None:
    """A single duration has no spread."""
    assert percentiles([7.0]) == Percentiles(1, 7.0, 7.0, 7.0)


def test_times_of_runs_and_their_phases() -> None:
    """Each phase counts the runs that had it."""
    runs = [two_steps(4, seconds) for seconds in range(1, 102)]
    runs.append(trace_of((1, "step", "first", 0, 4, {"phase": "research"}), duration_s=55))
    found = run_times(runs)
    assert found.kind == RunKind("virtual", 1.0, simulated=True)
    assert found.total.count == 102
    assert found.total.p50_ms == pytest.approx(55_000)
    assert {phase: one.count for phase, one in found.phases.items()} == {
        "research": 102,
        "profile": 101,
        "advice": 101,
    }
    assert found.phases["advice"].p50_ms == pytest.approx(51_000)
    assert found.phases["advice"].p95_ms == pytest.approx(96_000)
    assert found.phases["advice"].p99_ms == pytest.approx(100_000)


KINDS = [
    {"clock": "real", "speed": 1.0, "simulated": True},
    {"clock": "real", "speed": 4.0, "simulated": True},
    {"clock": "real", "speed": 1.0, "simulated": False},
]


def test_runs_are_parted_by_kind() -> None:
    """Another clock, another speed, a simulated model: each is a group, the largest first."""
    runs = [two_steps(1, 1, **kind) for kind in (*KINDS, KINDS[2])]
    found = by_kind(runs)
    assert [len(group) for group in found.values()] == [2, 1, 1]
    assert next(iter(found)) == RunKind("real", 1.0, simulated=False)
    assert [run for group in found.values() for run in group] == [runs[2], runs[3], *runs[:2]]


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("figure", [run_times, bottlenecks, repeated_calls])
def test_kinds_are_never_mixed(figure: Any, other: dict[str, Any]) -> None:
    """A figure over several kinds is refused, and the message names them."""
    with pytest.raises(InvalidInput, match="virtual clock, speed 1, simulated model") as caught:
        figure([two_steps(1, 1), two_steps(1, 1, **other)])
    assert caught.value.field == "runs"
    assert len(caught.value.allowed) == 2
    with pytest.raises(InvalidInput, match="there are no runs"):
        figure([])


def test_bottlenecks_are_ranked_by_what_they_add_to_the_path() -> None:
    """Work off the path adds nothing and has slack; what is inside a step counts for itself."""
    found = bottlenecks([two_steps(4, 6, run_id="a"), two_steps(8, 6, run_id="b")])
    ranked = [(one.name, one.critical_ms, round(one.share, 3)) for one in found]
    assert ranked == [
        ("second", pytest.approx(6_000), 0.5),
        ("first", pytest.approx(3_000), 0.25),
        ("trends", pytest.approx(3_000), 0.25),
        ("report", 0, 0),
        ("beside", 0, 0),
    ]
    by_name = {one.name: one for one in found}
    assert by_name["beside"].slack_ms == pytest.approx((9_000 + 13_000) / 2)
    assert by_name["second"].slack_ms == 0
    assert by_name["first"].duration_ms == pytest.approx(6_000)
    assert (by_name["trends"].phase, by_name["trends"].kind) == ("research", "tool")
    assert (by_name["trends"].calls, by_name["trends"].runs) == (1, 2)


def test_work_that_only_some_runs_have_counts_over_all_of_them() -> None:
    """What happens in one run of two adds half as much on average."""
    rare = trace_of((1, "step", "rare", 0, 10, {}), run_id="a")
    empty = trace_of(run_id="b")
    found = {one.name: one for one in bottlenecks([rare, empty])}
    assert (found["rare"].critical_ms, found["rare"].calls) == (pytest.approx(5_000), 0.5)
    assert found["rare"].runs == 1
    assert found["report"].critical_ms == pytest.approx(5_000)


@given(st.lists(traces(), min_size=1, max_size=3))
def test_what_everything_adds_is_the_whole(runs: list[Trace]) -> None:
    """The contributions of all work add up to the runs' mean duration."""
    for number, trace in enumerate(runs):
        trace.run.run_id = f"r{number}"
    found = bottlenecks(runs)
    mean_ms = sum(trace.duration_s for trace in runs) / len(runs) * 1e3
    assert sum(one.critical_ms for one in found) == pytest.approx(mean_ms, abs=1e-3)
    assert all(one.slack_ms >= 0 and one.calls > 0 for one in found)
    assert [one.critical_ms for one in found] == sorted(
        (one.critical_ms for one in found), reverse=True
    )


def test_repeated_calls_within_and_across_runs() -> None:
    """Same tool, same parameters in any order; hits and calls without parameters do not count."""
    first = trace_of(
        (1, "tool", "trends", 0, 2, {"params": {"area": "AI", "sub": ["a"]}}),
        (1, "tool", "trends", 2, 5, {"params": {"sub": ["a"], "area": "AI"}}),
        (1, "tool", "trends", 5, 6, {"params": {"area": "Food"}}),
        (1, "tool", "domain", 0, 1, {}),
        (1, "tool", "domain", 1, 2, {"params": {}}),
        run_id="a",
    )
    second = trace_of(
        (1, "tool", "trends", 0, 4, {"params": {"area": "AI", "sub": ["a"]}}),
        (1, "tool", "trends", 0, 0.1, {"params": {"area": "Food"}, "cache_hit": True}),
        (1, "tool", "rivals", 0, 9, {"params": {"area": "AI", "sub": ["a"]}}),
        (1, "step", "trends", 0, 9, {"params": {"area": "Food"}}),
        run_id="b",
    )
    (found,) = repeated_calls([first, second])
    assert (found.tool, found.params) == ("trends", {"area": "AI", "sub": ["a"]})
    assert (found.calls, found.runs, found.most_in_one_run) == (3, 2, 2)
    assert found.repeated_ms == pytest.approx(7_000)


def test_the_costliest_repeat_comes_first() -> None:
    """What would have been saved ranks, not how often it happened."""
    trace = trace_of(
        *[(1, "tool", "often", n / 10, n / 10 + 0.1, {"params": {"x": 1}}) for n in range(9)],
        (1, "tool", "dear", 0, 5, {"params": {"x": 1}}),
        (1, "tool", "dear", 5, 9, {"params": {"x": 1}}),
    )
    found = repeated_calls([trace])
    assert [(one.tool, one.calls, one.runs) for one in found] == [("dear", 2, 1), ("often", 9, 1)]
    assert found[0].repeated_ms == pytest.approx(4_000)
