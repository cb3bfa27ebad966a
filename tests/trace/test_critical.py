"""The critical path: what the run waited for, instant by instant."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.trace.critical import OVERHEAD, Breakdown, breakdown, critical_path, whole_parts
from tests.trace.making import START_S, trace_of, traces

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def path_of(trace: Trace) -> list[tuple[str, float, float]]:
    """Write the path as names with seconds since the run's start."""
    return [
        (one.span.name, round(one.start_s - START_S, 6), round(one.end_s - START_S, 6))
        for one in critical_path(trace)
    ]


def test_one_after_another() -> None:
    """Steps in a row are the path, and the gaps between them are the run's own."""
    trace = trace_of(
        (1, "step", "a", 1, 4, {}),
        (1, "step", "b", 4, 8, {"after": ["a"]}),
        duration_s=9,
    )
    assert path_of(trace) == [
        ("report", 0, 1),
        ("a", 1, 4),
        ("b", 4, 8),
        ("report", 8, 9),
    ]


def test_side_by_side_the_last_to_finish_is_on_the_path() -> None:
    """The diamond: of two branches the longer counts, and what it waited for before."""
    trace = trace_of(
        (1, "step", "start", 0, 2, {}),
        (1, "step", "short", 2, 4, {"after": ["start"]}),
        (1, "step", "long", 2, 7, {"after": ["start"]}),
        (1, "step", "join", 7, 10, {"after": ["short", "long"]}),
    )
    assert path_of(trace) == [("start", 0, 2), ("long", 2, 7), ("join", 7, 10)]


def test_the_path_goes_into_a_span_and_comes_back() -> None:
    """Inside a step its tools and model calls are on the path, the rest is the step's own."""
    trace = trace_of(
        (1, "step", "research", 0, 10, {}),
        (2, "tool", "trends", 1, 4, {}),
        (2, "tool", "rivals", 1, 5, {}),
        (2, "model", "sim", 5, 9, {}),
        (4, "cache", "lookup", 1, 2, {}),
    )
    assert path_of(trace) == [
        ("research", 0, 1),
        ("lookup", 1, 2),
        ("rivals", 2, 5),
        ("sim", 5, 9),
        ("research", 9, 10),
    ]


def test_a_soft_input_that_was_missed_held_the_run_until_its_deadline() -> None:
    """From when all else was there until the step gave up on it; before, all else counts."""
    trace = trace_of(
        (1, "step", "profile", 0, 9, {}),
        (1, "tool", "trends", 0, 3, {}),
        (1, "step", "research", 3, 5, {"after": ["trends"]}),
        (1, "step", "unrelated", 2, 5.5, {}),
        (1, "step", "advise", 6, 10, {"after": ["research"], "missed": ["profile"]}),
    )
    assert path_of(trace) == [
        ("trends", 0, 3),
        ("research", 3, 5),
        ("profile", 5, 6),
        ("advise", 6, 10),
    ]


def test_a_soft_input_that_failed_held_the_run_until_then() -> None:
    """What came to nothing is missed as well; with nothing else to wait for, all of it counts."""
    trace = trace_of(
        (1, "step", "profile", 1, 4, {}),
        (1, "step", "advise", 4, 10, {"after": [], "missed": ["profile"]}),
    )
    assert path_of(trace) == [("report", 0, 1), ("profile", 1, 4), ("advise", 4, 10)]


def test_a_missed_input_that_was_over_before_the_others_held_nobody() -> None:
    """It failed early: what the step waited for is the rest."""
    trace = trace_of(
        (1, "step", "profile", 0, 2, {}),
        (1, "step", "research", 0, 5, {}),
        (1, "step", "advise", 5, 10, {"after": ["research"], "missed": ["profile"]}),
    )
    assert path_of(trace) == [("research", 0, 5), ("advise", 5, 10)]


def test_a_span_that_closed_a_moment_after_its_dependent_began_stays_on_the_path() -> None:
    """Clocks are read one after the other; a name in ``after`` is proof enough."""
    trace = trace_of(
        (1, "step", "a", 0, 5.000002, {}),
        (1, "step", "b", 5, 10, {"after": ["a"]}),
    )
    assert path_of(trace) == [("a", 0, 5), ("b", 5, 10)]


def test_unrelated_work_that_runs_on_is_not_on_the_path() -> None:
    """A refresh in the background delays nobody."""
    trace = trace_of(
        (1, "step", "a", 0, 4, {}),
        (1, "cache", "refresh", 1, 9, {}),
        (1, "step", "b", 4, 10, {"after": ["a"]}),
    )
    assert path_of(trace) == [("a", 0, 4), ("b", 4, 10)]


def test_moments_without_length_are_never_on_the_path() -> None:
    """A hit takes no time in virtual time."""
    trace = trace_of(
        (1, "step", "a", 0, 10, {}),
        (2, "cache", "hit", 4, 4, {}),
        (2, "cache", "hit", 10, 10, {}),
    )
    assert path_of(trace) == [("a", 0, 10)]


@given(traces())
def test_segments_tile_the_run(trace: Trace) -> None:
    """Each begins where the one before ended, exactly, and lies within its span."""
    path = critical_path(trace)
    if trace.duration_s == 0:
        assert path == []
        return
    assert path[0].start_s == trace.start_s
    assert path[-1].end_s == trace.end_s
    for one, later in itertools.pairwise(path):
        assert one.end_s == later.start_s
    for one in path:
        assert one.start_s < one.end_s
        assert one.span.start_s <= one.start_s
        assert one.end_s <= trace.end_of(one.span)


@given(traces())
def test_phases_and_overhead_add_up_to_the_total(trace: Trace) -> None:
    """In microseconds, in rounded milliseconds and in percent."""
    found = breakdown(trace)
    assert sum(found.parts_us.values()) + found.overhead_us == found.total_us
    assert min([0, found.overhead_us, *found.parts_us.values()]) == 0
    assert found.total_us == pytest.approx(trace.duration_s * 1e6, abs=1)
    assert sum(found.in_ms().values()) == found.total_ms
    assert sum(found.in_percent().values()) == (100 if found.total_us else 0)
    assert set(found.parts_us) == set(trace.phases()) - {OVERHEAD}


def test_breakdown_of_a_run_in_phases() -> None:
    """Each instant belongs to the phase that held the path; one off the path has nothing."""
    trace = trace_of(
        (1, "step", "profile", 0, 3, {"phase": "profile"}),
        (1, "step", "ideas", 0.5, 4, {"phase": "research"}),
        (1, "tool", "risks", 0, 1, {"phase": "advice"}),
        (1, "step", "advise", 4, 9, {"phase": "advice", "after": ["profile", "ideas"]}),
        (1, "storage", "assemble", 9, 9.25, {"phase": "file_io"}),
    )
    found = breakdown(trace)
    assert found.parts_us == {
        "profile": 0,
        "advice": 5_000_000,
        "research": 3_500_000,
        "file_io": 250_000,
    }
    assert found.overhead_us == 1_250_000


def test_rounding_gives_the_rest_to_those_that_lost_most() -> None:
    """The plan's own example of percentages adds up to 101; ours do not."""
    fortune = Breakdown(37_458_000, {"RAG": 1_045_000, "LLM": 35_821_000, "V": 234_000}, 358_000)
    assert fortune.in_percent() == {"RAG": 3, "LLM": 96, "V": 0, OVERHEAD: 1}
    assert whole_parts({"a": 1, "b": 1, "c": 1}, 100) == {"a": 34, "b": 33, "c": 33}
    assert whole_parts({"a": 0, "b": 0}, 100) == {"a": 0, "b": 0}


parts = st.dictionaries(st.text(max_size=3), st.integers(0, 10**12), max_size=12)


@given(parts, st.integers(0, 10**6))
def test_whole_parts_add_up_and_are_off_by_less_than_one(found: dict[str, int], total: int) -> None:
    """No part is rounded further than to its neighbour."""
    rounded, whole = whole_parts(found, total), sum(found.values())
    assert rounded.keys() == found.keys()
    if whole:
        assert sum(rounded.values()) == total
        assert all(abs(rounded[name] * whole - found[name] * total) < whole for name in found)


def test_a_step_that_took_no_time_hands_the_path_on_to_what_it_waited_for() -> None:
    """Of two that ended in the same instant, the one waited for is on the path."""
    trace = trace_of(
        (1, "step", "ideas", 0, 5, {}),
        (1, "step", "unrelated", 1, 5, {}),
        (1, "step", "pick", 5, 5, {"after": ["ideas"]}),
        (1, "step", "sort", 5, 5, {"after": ["pick"]}),
        (1, "step", "write", 5, 10, {"after": ["sort"]}),
    )
    assert path_of(trace) == [("ideas", 0, 5), ("write", 5, 10)]
