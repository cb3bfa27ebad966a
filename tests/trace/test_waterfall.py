"""Rows of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from hasten.trace.waterfall import duration_label, waterfall
from tests.trace.making import trace_of, traces

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def race() -> Trace:
    """Make a run with a step, a tool inside it, and a tool from the cache beside it."""
    return trace_of(
        (1, "step", "advise", 2, 10, {"phase": "advice"}),
        (2, "tool", "persona", 4, 6, {}),
        (1, "tool", "risks", 0, 1, {"cache_hit": True}),
    )


def test_rows_in_order_with_their_place_on_the_time_line() -> None:
    """Shares of the run's own length, depths, labels, and who is on the path."""
    rows = [
        (one.name, one.depth, round(one.start, 3), round(one.width, 3), one.label, one.is_critical)
        for one in waterfall(race())
    ]
    assert rows == [
        ("report", 0, 0.0, 1.0, "10.0 s", True),
        ("risks", 1, 0.0, 0.1, "1.0 s · cached", True),
        ("advise", 1, 0.2, 0.8, "8.0 s", True),
        ("persona", 2, 0.4, 0.2, "2.0 s", True),
    ]


def test_a_bar_around_the_critical_one_is_critical_and_one_beside_it_is_not() -> None:
    """The path goes through what encloses it."""
    trace = trace_of(
        (1, "step", "outer", 0, 10, {}),
        (2, "tool", "long", 0, 10, {}),
        (2, "tool", "short", 0, 4, {}),
    )
    found = {one.name: one.is_critical for one in waterfall(trace)}
    assert found == {"report": True, "outer": True, "long": True, "short": False}


def test_two_runs_on_one_scale() -> None:
    """The shorter one's bars end where its time ended on the longer one's line."""
    rows = waterfall(race(), scale_s=40)
    assert (rows[0].start, rows[0].width) == (0, 0.25)
    assert waterfall(race(), scale_s=5)[2].width == pytest.approx(0.6)  # cut off at the edge


def test_depth_can_be_limited() -> None:
    """Only the steps, say."""
    assert [one.name for one in waterfall(race(), max_depth=1)] == ["report", "risks", "advise"]


def test_a_bar_that_did_not_end_well_says_so() -> None:
    """The status is in the label unless it is ok."""
    trace = race()
    trace.spans[1].status = "timeout"
    assert waterfall(trace)[2].label == "8.0 s · timeout"
    assert waterfall(trace)[2].status == "timeout"


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.45, "450 ms"),
        (0.9996, "1.0 s"),
        (18.333, "18.3 s"),
        (93.04, "93.0 s"),
        (119.97, "2 min 00 s"),
        (125, "2 min 05 s"),
        (3_600, "60 min 00 s"),
    ],
)
def test_durations_for_people(seconds: float, label: str) -> None:
    """Two or three digits, whatever the size."""
    assert duration_label(seconds) == label


@given(traces())
def test_every_bar_lies_on_the_time_line(trace: Trace) -> None:
    """Nothing sticks out, whatever the spans; a parent's row comes first."""
    rows = waterfall(trace)
    assert len(rows) == len(trace.spans)
    seen = {trace.root.span_id}
    for one in rows:
        assert 0 <= one.start <= 1
        assert -1e-9 <= one.width <= 1 - one.start + 1e-9
        above = trace.parent(trace.spans[one.span_id - 1])
        assert above is None or above.span_id in seen
        seen.add(one.span_id)
    assert rows[0].depth == 0
    assert any(one.is_critical for one in rows) == (trace.duration_s > 0)
