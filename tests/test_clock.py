"""The clock in force, and a clock that runs at a speed."""

from __future__ import annotations

import asyncio
import time

import pytest

from hasten import virtual
from hasten.clock import Clock, current_clock, set_clock, use_clock


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_is_a_number_above_zero(speed: float) -> None:
    """Time neither stops, nor goes back, nor jumps."""
    with pytest.raises(ValueError, match="above 0"):
        Clock(speed)


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_only_durations_have_a_speed(speed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight seconds on the wall last eight times the speed, and it is eight seconds later."""
    wall_s = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: wall_s)
    monkeypatch.setattr(time, "time", lambda: 1_000.0 + wall_s)
    clock = Clock(speed)
    now_s, monotonic_s = clock.now(), clock.monotonic()
    wall_s += 8.0
    assert clock.now() - now_s == 8.0
    assert clock.monotonic() - monotonic_s == pytest.approx(8.0 * speed)
    assert clock.loop_delay(8.0) == 8.0 / speed


def test_clocks_of_one_speed_agree() -> None:
    """What a run notes by its clock, such as a model's rest, another run reads by its own."""
    first_s = Clock(4.0).monotonic()
    assert first_s <= Clock(4.0).monotonic() < first_s + 40.0
    assert Clock(4.0).monotonic() > 2 * Clock().monotonic()


def test_monotonic_never_goes_back() -> None:
    """Even between two readings in a row."""
    clock = Clock()
    read = [clock.monotonic() for _ in range(1_000)]
    assert read == sorted(read)


def test_sleep_and_timeout_are_in_seconds_of_the_clock() -> None:
    """On a loop whose time can be read, at speed 4 a sleep of 8 s takes 2, a timeout of 4 s one."""

    async def main() -> None:
        loop, fast = asyncio.get_running_loop(), Clock(4.0)
        await fast.sleep(8.0)
        assert loop.time() == 2.0
        with pytest.raises(TimeoutError):
            async with fast.timeout(4.0):
                await fast.sleep(100.0)
        assert loop.time() == 3.0
        async with fast.timeout(None):
            await fast.sleep(4_000.0)
        assert loop.time() == 1_003.0

    virtual.run(main())


def test_the_clock_in_force_is_the_task_s_own() -> None:
    """``use_clock`` binds a block and ``set_clock`` a task; neither reaches a sibling."""
    first, second = Clock(2.0), Clock(3.0)

    async def with_its_own(clock: Clock) -> bool:
        set_clock(clock)
        await clock.sleep(1)
        return current_clock() is clock

    async def main() -> None:
        virtual_clock = current_clock()
        assert virtual_clock.kind == "virtual"
        assert all(await asyncio.gather(with_its_own(first), with_its_own(second)))
        with use_clock(first):
            assert current_clock() is first
            with use_clock(second):
                assert current_clock() is second
            assert current_clock() is first
        assert current_clock() is virtual_clock

    outside = current_clock()
    assert outside.kind == "real"
    virtual.run(main())
    assert current_clock() is outside
