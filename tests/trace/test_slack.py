"""Slack: how late is still in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.trace.critical import critical_path
from hasten.trace.slack import Work, free_among, slack_s
from tests.trace.making import Row, trace_of, traces

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def slack_by_name(trace: Trace) -> dict[str, float]:
    """Return each span's slack by its name."""
    found = slack_s(trace)
    return {span.name: round(found[span.span_id], 6) for span in trace.spans}


def test_the_shorter_branch_has_the_difference() -> None:
    """In a diamond, the path has none and the rest has what the join would have waited."""
    trace = trace_of(
        (1, "step", "start", 0, 2, {"after": []}),
        (1, "step", "short", 2, 4, {"after": ["start"]}),
        (1, "step", "long", 2, 7, {"after": ["start"]}),
        (1, "step", "alone", 0, 1, {"after": []}),
        (1, "step", "join", 7, 10, {"after": ["short", "long"]}),
    )
    assert slack_by_name(trace) == {
        "report": 0,
        "start": 0,
        "short": 3,
        "long": 0,
        "alone": 9,
        "join": 0,
    }


def test_slack_passes_down_a_branch() -> None:
    """All of a branch shares what its end may be late."""
    trace = trace_of(
        (1, "step", "a", 0, 1, {"after": []}),
        (1, "step", "b", 1, 3, {"after": ["a"]}),
        (1, "step", "other", 0, 8, {"after": []}),
        (1, "step", "end", 8, 10, {"after": ["b", "other"]}),
    )
    assert slack_by_name(trace) == {"report": 0, "a": 5, "b": 5, "other": 0, "end": 0}


def test_a_missed_soft_input_delays_nobody() -> None:
    """Who went on without it would have done so however late it came."""
    trace = trace_of(
        (1, "step", "profile", 0, 7, {"after": []}),
        (1, "step", "research", 0, 5, {"after": []}),
        (1, "step", "advise", 5, 10, {"after": ["research", "profile"], "missed": ["profile"]}),
    )
    assert slack_by_name(trace)["profile"] == 3


def test_without_names_later_work_waited_for_all_that_had_ended() -> None:
    """Two calls in a row inside a step have no slack; one beside the second has some."""
    trace = trace_of(
        (1, "step", "s", 0, 10, {"after": []}),
        (2, "tool", "first", 0, 4, {}),
        (2, "tool", "second", 4, 10, {}),
        (2, "tool", "beside", 4, 7, {}),
    )
    assert slack_by_name(trace) == {"report": 0, "s": 0, "first": 0, "second": 0, "beside": 3}


def test_a_child_has_its_parent_s_slack_too() -> None:
    """What is inside a step that may be late may be late with it."""
    trace = trace_of(
        (1, "step", "lazy", 0, 4, {"after": []}),
        (2, "tool", "inside", 0, 3, {}),
        (2, "tool", "longest inside", 0, 4, {}),
        (1, "step", "long", 0, 10, {"after": []}),
    )
    found = slack_by_name(trace)
    assert (found["lazy"], found["inside"], found["longest inside"]) == (6, 7, 6)


def test_many_siblings_are_no_burden() -> None:
    """Two thousand tools side by side: the longest has none, the others the difference."""
    rows: list[Row] = [(1, "tool", f"t{n}", 0.0, 1 + n / 1e3, {}) for n in range(2_000)]
    trace = trace_of(*rows, duration_s=3)
    found = slack_by_name(trace)
    assert found["t1999"] == 0
    assert found["t999"] == pytest.approx(1)


@given(traces())
def test_slack_is_never_negative(trace: Trace) -> None:
    """Whatever the spans, each has an answer."""
    found = slack_s(trace)
    assert found.keys() == {span.span_id for span in trace.spans}
    assert min(found.values()) >= 0


@st.composite
def schedules(draw: st.DrawFn, max_lag_ms: int = 5) -> list[Work]:
    """Draw work by its dependencies: each starts a while after all it waited for ended."""
    works: list[Work] = []
    for number in range(draw(st.integers(1, 12))):
        earlier = [work.name for work in works]
        after = draw(st.none() | st.sets(st.sampled_from(earlier or [""])).map(frozenset))
        ready_ms = max(
            (work.end_s for work in works if after is None or work.name in after), default=0.0
        )
        start_ms = ready_ms + draw(st.integers(0, max_lag_ms))
        end_ms = start_ms + draw(st.integers(0, 100))
        works.append(Work(f"s{number}", start_ms, end_ms, after))
    order = sorted(range(len(works)), key=lambda number: (works[number].start_s, number))
    return [works[number] for number in order]


def end_with(works: list[Work], late: int, by_s: float) -> float:
    """Let the work go again as it went, one of it longer ``by_s``; return when all has ended."""
    ends_s: list[float] = []
    for position, work in enumerate(works):
        held = [
            other
            for other in range(position)
            if (
                works[other].end_s <= work.start_s
                if work.after is None
                else works[other].name in work.after
            )
        ]
        was_s = max((works[other].end_s for other in held), default=0.0)
        ready_s = max((ends_s[other] for other in held), default=0.0)
        end_s = work.end_s + ready_s - was_s
        ends_s.append(end_s + by_s if position == late else end_s)
    return max(ends_s)


@given(schedules())
def test_being_late_by_the_slack_moves_no_end_and_by_more_does(works: list[Work]) -> None:
    """Playing the schedule again with one span longer: its slack is exactly what is free."""
    end_s = max(work.end_s for work in works)
    for position, free_s in enumerate(free_among(works)):
        assert free_s >= 0
        assert end_with(works, position, free_s) == pytest.approx(end_s)
        assert end_with(works, position, free_s + 1) == pytest.approx(end_s + 1)


@given(schedules(max_lag_ms=0))
def test_the_critical_path_has_no_slack(works: list[Work]) -> None:
    """Where everything starts as soon as it can, nobody on the path may be late."""
    rows: list[Row] = []
    for work in works:
        attributes = {} if work.after is None else {"after": sorted(work.after)}
        rows.append((1, "step", work.name, work.start_s, work.end_s, attributes))
    trace = trace_of(*rows, duration_s=max(work.end_s for work in works))
    free_s = slack_s(trace)
    for one in critical_path(trace):
        assert free_s[one.span.span_id] == pytest.approx(0, abs=1e-6)
