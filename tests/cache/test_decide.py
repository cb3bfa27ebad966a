"""Decisions: every rule of freshness, by the section it comes from."""

from __future__ import annotations

import math
import random
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.cache.decide import (
    Fresh,
    Keep,
    Miss,
    Skip,
    Stale,
    admit,
    admit_error,
    decide,
    early_from_s,
    is_due_early,
    life_of,
    stand_in,
)
from hasten.cache.entry import Provenance
from hasten.cache.key import make_key
from hasten.cache.policy import PLAIN, CachePolicy, Directives
from hasten.caller import Caller
from tests.cache.test_entry import KEY, an_entry

POLICY = CachePolicy(use="use", ttl_s=100, jitter=0)
FRESH_AT, LATE_AT = 1010.0, 1130.0


def decided(now_s: float, *, draw: float = 1.0, **asked: Any) -> Any:
    """Decide on an entry of 100 s, 50 s of revalidation and 200 s of error cover."""
    entry = an_entry(
        KEY, revalidate_until_s=1150.0, error_until_s=1300.0, provenance=Provenance(compute_s=5)
    )
    return decide(entry, now_s, Directives(**asked), POLICY, draw)


def test_within_its_life_an_entry_is_fresh() -> None:
    """RFC 9111 section 4.2, with its age and what is left."""
    assert decided(FRESH_AT) == Fresh(10.0, 90.0)
    assert decide(an_entry(KEY, fresh_until_s=None), 1e9, PLAIN, POLICY, 0.5).ttl_s == math.inf


@pytest.mark.parametrize(
    ("asked", "now_s", "expected"),
    [
        ({"no_cache": True}, FRESH_AT, Miss("no-cache: the request wants a new answer")),
        ({"no_store": True}, FRESH_AT, Fresh(10.0, 90.0)),
        ({"max_age_s": 5}, FRESH_AT, Miss("max-age: it is 10 s old, the request takes 5 s")),
        ({"max_age_s": 10}, FRESH_AT, Fresh(10.0, 90.0)),
        (
            {"max_age_s": 5, "max_stale_s": 5},
            FRESH_AT,
            Stale(10.0, "max-stale: the request takes it"),
        ),
        ({"min_fresh_s": 91}, FRESH_AT, Miss("min-fresh: it is fresh for 90 s more only")),
        ({"min_fresh_s": 90}, FRESH_AT, Fresh(10.0, 90.0)),
        ({"min_fresh_s": 1}, LATE_AT, Miss("min-fresh: it is stale")),
        ({"max_stale_s": 30}, LATE_AT, Stale(130.0, "max-stale: the request takes it")),
        ({"max_stale_s": 29}, LATE_AT, Stale(130.0, "stale-while-revalidate", is_renewed=True)),
        ({}, LATE_AT, Stale(130.0, "stale-while-revalidate", is_renewed=True)),
        ({"max_age_s": 500}, LATE_AT, Miss("expired 30 s ago")),
        ({}, 1150.0, Miss("expired 50 s ago")),
        ({}, 1100.0, Stale(100.0, "stale-while-revalidate", is_renewed=True)),
    ],
)
def test_request_directives(asked: dict[str, Any], now_s: float, expected: object) -> None:
    """RFC 9111 section 5.2.1 and RFC 5861 section 3, at their borders."""
    assert decided(now_s, **asked) == expected


@pytest.mark.parametrize(
    ("asked", "now_s", "expected"),
    [
        ({}, 1299.0, Stale(299.0, "stale-if-error")),
        ({}, 1300.0, None),
        ({"no_cache": True}, LATE_AT, None),
        ({"max_age_s": 60}, LATE_AT, None),
        ({"max_age_s": 60}, FRESH_AT, Stale(10.0, "stale-if-error")),
    ],
)
def test_an_old_answer_stands_in_for_an_error(
    asked: dict[str, Any], now_s: float, expected: object
) -> None:
    """RFC 5861 section 4, unless the request asked for something newer."""
    assert stand_in(an_entry(KEY, error_until_s=1300.0), now_s, Directives(**asked)) == expected


def test_what_never_expires_stands_in_too_and_a_stored_error_never_does() -> None:
    """A value that is fresh for ever covers any error; an error covers none."""
    assert stand_in(an_entry(KEY, fresh_until_s=None, error_until_s=0.0), 1e9, PLAIN) is not None
    assert stand_in(an_entry(KEY, kind="error", error_until_s=1300.0), 1010.0, PLAIN) is None


def test_early_refreshes_stay_in_the_last_fifth() -> None:
    """However long the computation took and whatever is drawn."""
    slow = an_entry(KEY, provenance=Provenance(compute_s=1e6))
    assert early_from_s(slow) == 1080.0
    assert not is_due_early(slow, 1079.9, 1e-9)
    assert is_due_early(slow, 1080.0, 0.5)
    assert decide(slow, 1080.0, PLAIN, POLICY, 0.0) == Fresh(80.0, 20.0, is_early=True)
    assert not decide(
        slow, 1080.0, PLAIN, CachePolicy(use="u", is_refreshed_early=False), 0.0
    ).is_early
    assert early_from_s(an_entry(KEY, fresh_until_s=None)) == math.inf
    assert not is_due_early(an_entry(KEY, fresh_until_s=None), 1e12, 0.0)


def test_early_refreshes_come_a_computation_before_the_end() -> None:
    """One computation, and an exponential share more whose mean is another one (XFetch, beta 1)."""
    entry = an_entry(KEY, provenance=Provenance(compute_s=2.0))
    draw = random.Random(1)
    starts = []
    for _ in range(2000):
        number = draw.random()
        at_s = next(at / 10 for at in range(10_800, 11_001) if is_due_early(entry, at / 10, number))
        starts.append(1100.0 - at_s)
    assert min(starts) >= 2.0 - 0.1
    assert mean(starts) == pytest.approx(2.0 + 2.0, rel=0.1)


def test_what_is_stored_and_what_is_not() -> None:
    """Only whole, untainted values, unless the policy says otherwise."""
    assert admit(POLICY, PLAIN, "x", taints=()) == Keep("value", 100)
    assert admit(POLICY, Directives(no_store=True), "x", taints=()) == Skip(
        "no-store: the request forbids it"
    )
    assert admit(POLICY, PLAIN, "x", taints=("fallback of trends",)) == Skip(
        "tainted: fallback of trends"
    )
    assert admit(POLICY, PLAIN, None, taints=()) == Skip(
        "negative: the policy stores no such results"
    )
    short = CachePolicy(
        use="u", negative_ttl_s=5, error_ttl_s=2, is_storable=lambda value: value != "cut"
    )
    assert admit(short, PLAIN, None, taints=()) == Keep("negative", 5)
    assert admit(short, PLAIN, "cut", taints=()) == Skip("not storable: the policy declines it")
    assert admit_error(POLICY, PLAIN) == Skip("error: the policy stores no errors")
    assert admit_error(short, Directives(no_store=True)) == Skip("no-store: the request forbids it")
    assert admit_error(short, PLAIN) == Keep("error", 2)


def test_lives_end_as_the_policy_says() -> None:
    """Windows follow freshness; negative results and errors have none."""
    policy = CachePolicy(
        use="u", ttl_s=100, jitter=0, stale_while_revalidate_s=50, stale_if_error_s=200
    )
    life = life_of(Keep("value", 100), policy, KEY, 1000.0)
    assert (life.fresh_until_s, life.revalidate_until_s, life.error_until_s) == (
        1100.0,
        1150.0,
        1300.0,
    )
    negative = life_of(Keep("negative", 5), policy, KEY, 1000.0)
    assert negative.fresh_until_s == negative.revalidate_until_s == negative.error_until_s == 1005.0
    assert life_of(Keep("value", None), policy, KEY, 1000.0).fresh_until_s is None


@given(st.integers(), st.floats(0, 0.99), st.floats(1, 1e7))
def test_jitter_only_shortens_and_is_the_keys_own(number: int, jitter: float, ttl_s: float) -> None:
    """A key's jitter never changes; no life is longer than declared or below its share."""
    key = make_key("u", {"n": number}, Caller("t", "u"))
    policy = CachePolicy(use="u", ttl_s=ttl_s, jitter=jitter)
    end_s = life_of(Keep("value", ttl_s), policy, key, 0.0).fresh_until_s
    assert end_s is not None
    assert ttl_s * (1 - jitter) <= end_s <= ttl_s
    assert life_of(Keep("value", ttl_s), policy, key, 0.0).fresh_until_s == end_s


def test_jitter_spreads_expiry() -> None:
    """Values stored in the same instant end all over the jitter's share."""
    policy = CachePolicy(use="u", ttl_s=100, jitter=0.2)
    ends = [
        life_of(
            Keep("value", 100), policy, make_key("u", {"n": n}, Caller("t", "u")), 0.0
        ).fresh_until_s
        for n in range(500)
    ]
    assert min(ends) < 82 and max(ends) > 98  # noqa: PT018 - one spread, two ends


@given(
    st.floats(900, 1400),
    st.booleans(),
    st.none() | st.floats(0, 400),
    st.floats(0, 100),
    st.floats(0, 400),
    st.floats(0, 1),
)
def test_no_decision_breaks_its_request(
    now_s: float,
    no_cache: bool,  # noqa: FBT001 - drawn
    max_age_s: float | None,
    min_fresh_s: float,
    max_stale_s: float,
    draw: float,
) -> None:
    """What is served is never older or staler than the request and the policy allow."""
    asked = Directives(
        no_cache=no_cache, max_age_s=max_age_s, min_fresh_s=min_fresh_s, max_stale_s=max_stale_s
    )
    entry = an_entry(KEY, revalidate_until_s=1150.0)
    decision = decide(entry, now_s, asked, POLICY, draw)
    age_s = max(now_s - 1000.0, 0.0)
    if isinstance(decision, Miss):
        return
    assert not no_cache
    assert max_age_s is None or age_s <= max_age_s + max_stale_s
    if isinstance(decision, Fresh):
        assert now_s < 1100.0
        assert 1100.0 - now_s >= min_fresh_s
    else:
        assert min_fresh_s == 0 or now_s < 1100.0
        assert now_s < 1150.0 or now_s - 1100.0 <= max_stale_s
