"""Cron on a virtual clock: called once at each due time, asleep in between, wrong times refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import Cron, virtual
from hasten.clock import Clock, current_clock
from hasten.errors import SettingsError
from hasten.jobs.cron import LONGEST_SLEEP_S, keep_time

DAY_S = 86_400.0


def kept(within_s: float, slow_s: float = 0.0, **ats: str) -> tuple[list[tuple[str, str]], int]:
    """Keep time for so long from 2026-01-01; return what was called when, and how often it woke."""
    called: list[tuple[str, str]] = []
    sleeps = 0

    async def main() -> None:
        clock = current_clock()
        crons = {name: Cron(name=name, at=at, inputs={}) for name, at in ats.items()}

        async def do(name: str, due_s: float) -> None:
            assert clock.now() - due_s >= 0
            called.append((name, f"{datetime.fromtimestamp(due_s, UTC):%d %H:%M}"))
            await clock.sleep(slow_s)

        async def sleep(seconds: float) -> None:
            nonlocal sleeps
            sleeps += 1
            await Clock.sleep(clock, seconds)

        clock.sleep = sleep  # type: ignore[method-assign]
        task = asyncio.create_task(keep_time(crons, do, clock))
        await asyncio.wait([task], timeout=within_s)
        task.cancel()

    virtual.run(main())
    return called, sleeps


def test_each_is_called_when_it_is_due() -> None:
    """In the order of their times, each once a time; a night between two is slept through."""
    called, sleeps = kept(1.5 * DAY_S, night="0 3 * * *", noon="0 12 * * 4")
    assert called == [("night", "01 03:00"), ("noon", "01 12:00"), ("night", "02 03:00")]
    assert sleeps <= 1.5 * DAY_S / LONGEST_SLEEP_S + 2 * len(called)


def test_what_was_missed_is_done_once() -> None:
    """A call that lasts beyond the next times, as a laptop asleep does, is followed by one."""
    called, _ = kept(3_600 * 2.2, slow_s=3_600 * 1.1, often="*/10 * * * *")
    assert [at for _, at in called] == ["01 00:10", "01 01:20"]


@given(st.integers(0, 59), st.integers(0, 23), st.floats(0, 4e9))
def test_the_next_time_is_later_and_within_a_day(minute: int, hour: int, now_s: float) -> None:
    """Whatever the moment; and it is the minute and hour of the expression."""
    due_s = Cron(name="daily", at=f"{minute} {hour} * * *", inputs={}).due_after(now_s)
    assert 0 < due_s - now_s <= DAY_S
    assert divmod(due_s % DAY_S // 60, 60) == (hour, minute)


@pytest.mark.parametrize("at", ["", "* * * *", "61 * * * *", "0 3 * * * *", "0 0 31 2 *", "@daily"])
def test_a_time_that_never_comes_is_refused(at: str) -> None:
    """With the cron's name, what is wrong and what would do."""
    with pytest.raises(SettingsError, match=r"cron 'c': at='.*': .+; nightly at three is"):
        Cron(name="c", at=at, inputs={})
