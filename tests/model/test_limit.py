"""The limit's decision: none until the first complaint, then the plan's rule to the digit."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.model.limit import FIRST_RATE_PER_S, LATE_S, Limit, LimitPolicy

POLICY = LimitPolicy(rate_per_s=10.0, concurrency=16)


def _run(limit: Limit, outcomes: list[Any], now_s: float = 0.0) -> None:
    for outcome in outcomes:
        limit.begin(now_s)
        limit.end(outcome, began_s=now_s, now_s=now_s)


def test_a_rate_that_is_set_holds_from_the_first_call() -> None:
    """Twenty at once, then one every tenth of a second."""
    limit = Limit(LimitPolicy(rate_per_s=10.0))
    for _ in range(20):
        assert limit.wait_s(0.0) == 0.0
        limit.begin(0.0)
    assert limit.wait_s(0.0) == pytest.approx(0.1)
    assert limit.wait_s(0.05) == pytest.approx(0.05)
    assert limit.wait_s(0.1) == 0.0


def test_the_first_complaint_sets_the_rate_that_was_taken_in() -> None:
    """Of 100 calls in a second 60 are refused: forty a second from there, and no burst at once."""
    limit = Limit(LimitPolicy())
    for _ in range(100):
        limit.begin(0.0)
    for _ in range(60):
        limit.end("overload", began_s=0.0, now_s=0.5)
    for _ in range(40):
        limit.end("ok", began_s=0.0, now_s=0.6)
    assert limit.rate_per_s == pytest.approx(40.0)
    assert limit.known_s == 0.5
    assert limit.was_blind(0.5)
    assert not limit.was_blind(0.51)
    assert limit.wait_s(0.5) == pytest.approx(1 / 40)


def test_a_rate_is_seen_in_the_fullest_second_of_late() -> None:
    """Five a second for a minute, then a refusal: five a second, not three hundred."""
    limit = Limit(LimitPolicy())
    for number in range(300):
        limit.begin(number / 5)
        limit.end("ok", began_s=number / 5, now_s=number / 5)
    limit.begin(60.0)
    limit.end("overload", began_s=60.0, now_s=60.0)
    assert limit.rate_per_s == 5.0


def test_who_has_seen_too_little_starts_at_the_plans_rate() -> None:
    """The first call of all is refused: ten a second, and errors lower that by a fifth."""
    limit = Limit(LimitPolicy())
    _run(limit, ["overload"])
    assert limit.rate_per_s == FIRST_RATE_PER_S
    _run(limit, ["overload"] * 20, now_s=1.0)
    assert limit.rate_per_s == pytest.approx(8.0)


def test_many_errors_without_a_refusal_set_a_rate_as_well() -> None:
    """The plan's rule asks for errors, whatever their reason: 3 of 20 lower by a fifth."""
    limit = Limit(LimitPolicy())
    _run(limit, ["error"] * 3 + ["ok"] * 17)
    assert limit.rate_per_s == pytest.approx(20 * 0.8)


def test_calls_from_before_a_lower_rate_do_not_lower_it_again() -> None:
    """A hundred refusals of one burst are one complaint."""
    limit = Limit(LimitPolicy(rate_per_s=10.0, burst=200))
    for _ in range(100):
        limit.begin(0.0)
    for _ in range(100):
        limit.end("overload", began_s=0.0, now_s=1.0)
    assert limit.rate_per_s == pytest.approx(8.0)


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
    limit = Limit(LimitPolicy())
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
    limit = Limit(LimitPolicy(concurrency=16))

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


@given(STEPS, st.integers(1, 8), st.integers(1, 30), st.sampled_from([5.0, math.inf]))
def test_its_bounds_hold_whatever_happens(
    steps: list[tuple[float, Any, bool]], concurrency: int, burst: int, rate_per_s: float
) -> None:
    """At once, a second, and between its own least and most; and no wait before a complaint."""
    policy = LimitPolicy(
        rate_per_s=rate_per_s,
        burst=burst,
        concurrency=concurrency,
        most_concurrency=10,
        judged_calls=3,
    )
    limit, now_s, open_ = Limit(policy), 0.0, [0.0] * 0
    begun, allowed, is_blamed = 0, float(burst), False
    for later_s, outcome, is_end in steps:
        now_s += later_s
        wait_s = limit.wait_s(now_s)
        allowed += limit.rate_per_s * later_s if later_s else 0.0
        if is_end and open_:
            was_known = limit.known_s < math.inf
            limit.end(outcome, began_s=open_.pop(), now_s=now_s, retry_after_s=later_s)
            is_blamed = is_blamed or outcome in {"error", "overload"} or later_s > 0
            if limit.known_s < math.inf and not was_known:
                begun, allowed = 0, float(burst)
        elif wait_s == 0.0:
            limit.begin(now_s)
            open_.append(now_s)
            begun += 1
        else:
            assert wait_s > 0
            assert limit.under_way or wait_s < math.inf
            assert is_blamed or limit.under_way == int(limit.concurrency) or rate_per_s < math.inf
        assert limit.under_way == len(open_) <= policy.most_concurrency
        assert policy.least_rate_per_s <= limit.rate_per_s <= policy.most_rate_per_s
        assert policy.least_concurrency <= limit.concurrency <= policy.most_concurrency
        assert begun <= allowed + 1


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=300), st.integers(0, 300))
def test_what_is_learnt_is_never_more_than_what_was_seen(gaps: list[float], refusals: int) -> None:
    """Any calls at any times, some of which are then refused at once."""
    limit, now_s, begun = Limit(LimitPolicy(concurrency=256)), 0.0, [0.0] * 0
    for gap_s in gaps:
        now_s += gap_s
        limit.begin(now_s)
        begun.append(now_s)
    assert math.isinf(limit.rate_per_s)
    refused = min(max(refusals, 1), len(begun))
    for began_s in begun[-refused:]:
        limit.end("overload", began_s=began_s, now_s=now_s)
    seconds = Counter(int(began_s) for began_s in begun if began_s >= now_s - LATE_S - 1)
    assert limit.rate_per_s <= max(*seconds.values(), FIRST_RATE_PER_S)
    assert limit.concurrency <= max(len(begun), 16) * 0.75
    assert math.isfinite(limit.wait_s(now_s)) or limit.under_way


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_per_s": 0.1},
        {"most_rate_per_s": 50.0},
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
