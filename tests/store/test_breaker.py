"""The breaker: one caller pays for an unavailable store, the others are told at once."""

from __future__ import annotations

import pytest

from hasten.clock import Clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.breaker import StoreBreaker


class HandClock(Clock):
    """A clock that a test moves by hand."""

    at_s = 100.0

    def monotonic(self) -> float:
        """Return what the test set."""
        return self.at_s


def fail(breaker: StoreBreaker, error: Exception) -> None:
    """Let one guarded call end in ``error``."""
    with pytest.raises(type(error)), breaker.guard():
        raise error


def test_it_is_closed_at_first() -> None:
    """Calls go through, and their values are their own."""
    breaker = StoreBreaker("redis", 2.0, HandClock())
    with breaker.guard():
        pass
    assert not breaker.is_open


def test_it_opens_for_a_while() -> None:
    """After one unavailable answer nobody gets through until the rest is over."""
    clock = HandClock()
    breaker = StoreBreaker("redis", 2.0, clock)
    fail(breaker, StoreUnavailable("gone"))
    clock.at_s += 1.5
    with (
        pytest.raises(StoreUnavailable, match=r"redis was not available.*in 0\.5 s") as caught,
        breaker.guard(),
    ):
        pytest.fail("it was asked while it rests")
    assert caught.value.store == "redis"
    assert breaker.is_open


def test_one_call_at_a_time_tries_again() -> None:
    """The rest is over for one; while it tries, the others are still refused."""
    clock = HandClock()
    breaker = StoreBreaker("redis", 2.0, clock)
    fail(breaker, StoreUnavailable("gone"))
    clock.at_s += 2.0
    with breaker.guard(), pytest.raises(StoreUnavailable, match="asked again"), breaker.guard():
        pytest.fail("two tried at once")
    assert not breaker.is_open


def test_a_failed_try_starts_the_rest_anew() -> None:
    """A store that stays away is asked once per rest."""
    clock = HandClock()
    breaker = StoreBreaker("redis", 2.0, clock)
    for _ in range(3):
        fail(breaker, StoreUnavailable("gone"))
        clock.at_s += 2.0
    assert breaker.is_open
    with breaker.guard():
        pass
    assert not breaker.is_open


@pytest.mark.parametrize("error", [StoreError("refused"), ZeroDivisionError()])
def test_other_errors_do_not_open_it(error: Exception) -> None:
    """A store that refuses is there, and work that fails says nothing about the store."""
    breaker = StoreBreaker("redis", 2.0, HandClock())
    fail(breaker, error)
    assert not breaker.is_open


def test_a_refusal_closes_it() -> None:
    """A store that refuses after it was away has come back."""
    clock = HandClock()
    breaker = StoreBreaker("redis", 2.0, clock)
    fail(breaker, StoreUnavailable("gone"))
    clock.at_s += 2.0
    fail(breaker, StoreError("refused"))
    assert not breaker.is_open
