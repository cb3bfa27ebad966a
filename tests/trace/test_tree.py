"""The tree: parents, ends, own time, phases."""

from __future__ import annotations

import pytest
from hypothesis import given

from hasten.trace.span import Span
from hasten.trace.tree import Trace
from tests.trace.making import START_S, run_of, trace_of, traces


def names(trace: Trace) -> list[tuple[str, int]]:
    """Write the tree as names and depths."""
    return [(span.name, depth) for span, depth in trace.walk()]


def test_walk_goes_parents_first_and_siblings_by_start() -> None:
    """A span is followed by all that is below it."""
    trace = trace_of(
        (1, "step", "late", 5, 9, {}),
        (1, "step", "early", 1, 4, {}),
        (3, "tool", "inside early", 2, 3, {}),
        (2, "tool", "inside late", 6, 7, {}),
    )
    assert names(trace) == [
        ("report", 0),
        ("early", 1),
        ("inside early", 2),
        ("late", 1),
        ("inside late", 2),
    ]
    assert trace.parent(trace.spans[3]) is trace.spans[2]
    assert trace.parent(trace.root) is None


def test_a_phase_is_inherited_from_the_nearest_that_has_one() -> None:
    """A step without a phase above it or of its own is a phase by its name."""
    trace = trace_of(
        (1, "step", "named", 0, 1, {"phase": "profile"}),
        (2, "model", "m", 0, 1, {}),
        (2, "tool", "t", 0, 1, {"phase": "research"}),
        (4, "cache", "c", 0, 1, {}),
        (1, "step", "plain", 1, 2, {}),
        (6, "step", "inner", 1, 2, {}),
        (1, "storage", "save", 2, 3, {}),
    )
    found = {span.name: trace.phase_of(span) for span in trace.spans}
    assert found == {
        "report": None,
        "named": "profile",
        "m": "profile",
        "t": "research",
        "c": "research",
        "plain": "plain",
        "inner": "plain",
        "save": None,
    }
    assert trace.phases() == ["profile", "research", "plain"]


def test_a_span_still_open_lasts_until_now() -> None:
    """For a live run the reader says what now is; for a dead one it is the last sign of life."""
    spans = [
        Span(1, None, "run", "report", START_S),
        Span(2, 1, "step", "done", START_S, START_S + 2),
        Span(3, 1, "step", "open", START_S + 3),
    ]
    live = run_of(ended_s=None, status="running")
    assert Trace(live, spans).duration_s == pytest.approx(3)
    assert Trace(live, spans, now_s=START_S + 8).duration_s == pytest.approx(8)
    trace = Trace(live, spans, now_s=START_S + 8)
    assert trace.end_of(spans[2]) == START_S + 8
    assert trace.end_of(spans[1]) == START_S + 2


def test_a_run_without_spans_is_one_span() -> None:
    """Its line says when it was."""
    trace = Trace(run_of(duration_s=4), [])
    assert (trace.duration_s, names(trace)) == (4, [("report", 0)])


def test_a_lost_parent_leaves_its_children_to_the_root() -> None:
    """A parent that is unknown, or that opened later, is no parent."""
    spans = [
        Span(1, None, "run", "report", START_S, START_S + 9),
        Span(3, 2, "tool", "orphan", START_S, START_S + 1),
        Span(4, 5, "tool", "impossible", START_S, START_S + 1),
        Span(5, 4, "tool", "its child", START_S, START_S + 1),
    ]
    assert names(Trace(run_of(), spans)) == [
        ("report", 0),
        ("orphan", 1),
        ("impossible", 1),
        ("its child", 2),
    ]


@given(traces())
def test_every_span_is_in_the_tree_once(trace: Trace) -> None:
    """Whatever the spans, nothing is lost and nothing goes in circles."""
    walked = [span.span_id for span, _ in trace.walk()]
    assert sorted(walked) == [span.span_id for span in trace.spans]
    for span in trace.spans:
        assert trace.end_of(span) >= span.start_s
