"""A share of the traffic of late, and never more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hasten.model.budget import CallBudget


def test_the_floor_is_there_before_any_traffic_and_the_window_moves_on() -> None:
    """Three at once; three more once a minute has passed."""
    budget = CallBudget(share=0.2, floor=3)
    budget.note_call(0.0)
    assert [budget.take(0.5) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(59.0)
    assert budget.take(61.0)


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=300))
def test_it_is_never_over_its_share(steps: list[tuple[float, bool]]) -> None:
    """Whatever the order of calls and wishes: at most a fifth of the last minute's, or three."""
    budget = CallBudget(share=0.2, floor=3, window_s=60.0)
    now_s, called, taken = 0.0, [0.0] * 0, [0.0] * 0
    for later_s, is_call in steps:
        now_s += later_s
        if is_call:
            budget.note_call(now_s)
            called.append(now_s)
        else:
            calls = [at_s for at_s in called if at_s > now_s - 61.0]
            if budget.take(now_s):
                taken = [at_s for at_s in taken if at_s > now_s - 59.0] + [now_s]
                assert len(taken) <= max(3, 0.2 * len(calls))


def test_a_share_without_a_floor_waits_for_traffic() -> None:
    """One in twenty: nothing for nineteen calls, one for the twentieth."""
    budget = CallBudget(share=0.05)
    for _ in range(19):
        budget.note_call(1.0)
    assert not budget.take(1.0)
    budget.note_call(1.0)
    assert budget.take(1.0)
    assert not budget.take(1.0)
