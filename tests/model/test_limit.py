"""The limit's decision: bounds that always hold, and the plan's rule to the digit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.limit import Limit, LimitPolicy

POLICY = LimitPolicy()


def _run(limit: Limit, outcomes: list[Any], now_s: float = 0.0) -> None:
    for outcome in outcomes:
        limit.begin(now_s)
        limit.end(outcome, began_s=now_s, now_s=now_s)


def test_it_starts_at_ten_a_second_with_bursts_of_twenty() -> None:
    """Twenty at once, then one every tenth of a second."""
    limit = Limit(LimitPolicy(concurrency=64))
    for _ in range(20):
        assert limit.wait_s(0.0) == 0.0
        limit.begin(0.0)
    assert limit.wait_s(0.0) == pytest.approx(0.1)
    assert limit.wait_s(0.05) == pytest.approx(0.05)
    assert limit.wait_s(0.1) == 0.0


def test_many_errors_lower_the_rate_by_a_fifth_and_none_raise_it_by_a_tenth() -> None:
    """Judged by shares: 3 of 20 lower, 1 of 20 change nothing, 0 of 20 raise."""
    limit = Limit(POLICY)
    _run(limit, ["error"] * 3 + ["ok"] * 17)
    assert limit.rate_per_s == pytest.approx(8.0)
    _run(limit, ["error"] + ["ok"] * 19)
    assert limit.rate_per_s == pytest.approx(8.0)
    _run(limit, ["ok"] * 20)
    assert limit.rate_per_s == pytest.approx(8.8)


def test_too_many_at_once_are_fewer_next_time_and_once_a_round() -> None:
    """Ten refusals of one round lower once; good rounds that need all raise by one."""
    limit = Limit(LimitPolicy(concurrency=16))
    for _ in range(16):
        limit.begin(0.0)
    for _ in range(10):
        limit.end("overload", began_s=0.0, now_s=1.0)
    assert limit.concurrency == 12.0
    limit.begin(2.0)
    limit.end("overload", began_s=2.0, now_s=3.0)
    assert limit.concurrency == 9.0
    before = limit.concurrency
    while limit.under_way < int(limit.concurrency):
        limit.begin(4.0)
    for _ in range(9):
        limit.end("ok", began_s=4.0, now_s=5.0)
        limit.begin(5.0)
    assert limit.concurrency == pytest.approx(before + 1, abs=0.1)


def test_it_doubles_each_round_until_the_first_sign() -> None:
    """Sixteen good calls that needed all of sixteen make it thirty-two."""
    limit = Limit(LimitPolicy(burst=1_000))

    def begin_all() -> None:
        while limit.wait_s(0.0) == 0.0:
            limit.begin(0.0)

    begin_all()
    for _ in range(16):
        limit.end("ok", began_s=0.0, now_s=0.0)
        begin_all()
    assert limit.concurrency == limit.under_way == 32


def test_an_idle_limit_does_not_grow() -> None:
    """Good calls that did not need all there was say nothing about more."""
    limit = Limit(POLICY)
    _run(limit, ["ok"] * 100)
    assert limit.concurrency == POLICY.concurrency


def test_nothing_begins_while_the_endpoint_asks_for_patience() -> None:
    """``Retry-After`` holds for all."""
    limit = Limit(POLICY)
    limit.begin(0.0)
    limit.end("overload", began_s=0.0, now_s=1.0, retry_after_s=7.0)
    assert limit.wait_s(2.0) == 6.0
    assert limit.wait_s(8.0) == 0.0


def test_answers_that_get_slow_a_token_lower_the_number_at_once() -> None:
    """After thirty usual answers, some at four times the usual time."""
    limit = Limit(POLICY)
    for number in range(30):
        limit.time(1.0, 100, began_s=number, now_s=number + 1)
    assert limit.concurrency == POLICY.concurrency
    for number in range(30, 36):
        limit.time(4.0, 100, began_s=number, now_s=number + 4)
    assert limit.concurrency < POLICY.concurrency
    short = Limit(POLICY)
    for number in range(60):
        short.time(1.0 if number < 30 else 9.0, 5, began_s=number, now_s=number)
    assert short.concurrency == POLICY.concurrency


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 3.0), st.sampled_from(["ok", "error", "overload", "void"]), st.booleans()
    ),
    max_size=200,
)


@given(STEPS, st.integers(1, 8), st.integers(1, 30))
def test_its_bounds_hold_whatever_happens(
    steps: list[tuple[float, Any, bool]], concurrency: int, burst: int
) -> None:
    """At once, a second, and between its own least and most."""
    policy = LimitPolicy(
        rate_per_s=5.0, burst=burst, concurrency=concurrency, most_concurrency=10, judged_calls=3
    )
    limit, now_s, open_, begun = Limit(policy), 0.0, [0.0] * 0, 0
    for later_s, outcome, is_end in steps:
        now_s += later_s
        wait_s = limit.wait_s(now_s)
        if is_end and open_:
            limit.end(outcome, began_s=open_.pop(), now_s=now_s, retry_after_s=later_s)
        elif wait_s == 0.0:
            limit.begin(now_s)
            open_.append(now_s)
            begun += 1
        else:
            assert wait_s > 0
            assert limit.under_way or wait_s < math.inf
        assert limit.under_way == len(open_) <= policy.most_concurrency
        assert policy.least_rate_per_s <= limit.rate_per_s <= policy.most_rate_per_s
        assert policy.least_concurrency <= limit.concurrency <= policy.most_concurrency
        assert begun <= burst + policy.most_rate_per_s * now_s + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_per_s": 0.1},
        {"least_rate_per_s": 0.0},
        {"concurrency": 257},
        {"least_concurrency": 0},
        {"burst": 0},
        {"slow_factor": 1.0},
    ],
)
def test_bounds_that_nothing_fits_in_are_refused(wrong: dict[str, Any]) -> None:
    """When the policy is made."""
    with pytest.raises(ValueError, match=r"limit starts|at least 1"):
        LimitPolicy(**wrong)
