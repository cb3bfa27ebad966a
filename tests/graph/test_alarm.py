"""Many alarms on one timer of the loop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from random import Random

from hasten import virtual
from hasten.clock import Clock, current_clock
from hasten.graph.alarm import AlarmClock
from tests.graph.common import pause

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def test_alarms_ring_in_time_and_in_order() -> None:
    """Whatever the order they were set in; those of one moment in the order of setting."""

    async def main() -> None:
        heard: list[tuple[float, str]] = []

        def hear(name: str) -> None:
            heard.append((current_clock().monotonic(), name))

        with AlarmClock(current_clock()) as alarms:
            for after_s, name in ((3, "c"), (1, "a"), (2, "b"), (3, "d")):
                alarms.after(after_s, partial(hear, name))
            await pause(10)
        assert heard == [(1, "a"), (2, "b"), (3, "c"), (3, "d")]

    virtual.run(main())


def test_a_dropped_alarm_is_not_heard_and_holds_up_no_other() -> None:
    """Neither the one the timer is set for, nor one behind it; dropping twice is dropping."""

    async def main() -> None:
        heard: list[int] = []
        with AlarmClock(current_clock()) as alarms:
            made = [alarms.after(after_s, partial(heard.append, after_s)) for after_s in range(6)]
            for alarm in (made[0], made[3], made[3], made[5]):
                alarm.drop()
            await pause(10)
        assert heard == [1, 2, 4]

    virtual.run(main())


def test_an_alarm_may_set_others() -> None:
    """Sooner ones than those that wait, and one for this very moment."""

    async def main() -> None:
        heard: list[float] = []

        def hear() -> None:
            heard.append(current_clock().monotonic())
            if len(heard) < 4:
                alarms.after(0 if len(heard) == 2 else 1, hear)

        with AlarmClock(current_clock()) as alarms:
            alarms.after(1, hear)
            alarms.after(100, hear)
            await pause(10)
        assert heard == [1, 2, 2, 3]

    virtual.run(main())


def test_a_stopped_clock_is_silent() -> None:
    """What was set is dropped, and nothing is taken any more."""

    async def main() -> None:
        heard: list[int] = []
        alarms = AlarmClock(current_clock())
        alarms.after(1, partial(heard.append, 1))
        alarms.stop()
        alarms.after(1, partial(heard.append, 2))
        await pause(10)
        AlarmClock(current_clock()).stop()
        assert heard == []

    virtual.run(main())


def test_alarms_ring_in_the_context_of_their_clock() -> None:
    """Not in that of whoever set them."""

    async def main() -> None:
        heard: list[str] = []
        WHO.set("maker")
        alarms = AlarmClock(current_clock())
        WHO.set("setter")
        alarms.after(1, lambda: heard.append(WHO.get()))
        await pause(2)
        assert heard == ["maker"]

    virtual.run(main())


def test_alarms_keep_the_pace_of_a_fast_clock() -> None:
    """At a thousand times the speed, and never early: the loop's rounding is waited out."""

    async def main() -> None:
        clock, random = Clock(speed=1_000), Random(1)
        early_s: list[float] = []
        with AlarmClock(clock) as alarms:
            for when_s in (random.uniform(0, 20) for _ in range(200)):
                alarms.at(when_s, lambda when_s=when_s: early_s.append(when_s - clock.monotonic()))
            all_rung = asyncio.Event()
            alarms.at(21, all_rung.set)
            await asyncio.wait_for(all_rung.wait(), 10)
        assert len(early_s) == 200
        assert max(early_s) <= 0

    asyncio.run(main())
