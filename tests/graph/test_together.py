"""Side by side inside a step."""

from __future__ import annotations

import asyncio

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.graph.together import together
from tests.graph.common import pause


async def echo(value: int, delay_s: float) -> int:
    """Return ``value`` after a while."""
    await pause(delay_s)
    return value


def test_values_come_in_the_order_of_the_work() -> None:
    """In the time of the longest."""

    async def main() -> tuple[list[int], float]:
        values = await together(echo(1, 3), echo(2, 1), echo(3, 2))
        return values, current_clock().monotonic()

    assert virtual.run(main()) == ([1, 2, 3], 3)
    assert virtual.run(together()) == []


def test_a_limit_bounds_what_runs_at_once() -> None:
    """Five of a second each, two at a time."""

    async def main() -> float:
        await together(*(echo(number, 1) for number in range(5)), limit=2)
        return current_clock().monotonic()

    assert virtual.run(main()) == 3


def test_a_limit_below_one_is_refused() -> None:
    """And what it was given is closed, not forgotten."""
    with pytest.raises(ValueError, match="limit must be at least 1, not 0"):
        virtual.run(together(echo(1, 1), limit=0))


@pytest.mark.parametrize("limit", [None, 1])
def test_the_first_error_stops_the_rest_and_is_raised_as_it_is(limit: int | None) -> None:
    """Also what had not begun; nothing is left running."""

    async def fail() -> int:
        await pause(1)
        message = "first"
        raise KeyError(message)

    async def main() -> None:
        with pytest.raises(KeyError, match="first"):
            await together(fail(), echo(1, 10), echo(2, 10), limit=limit)
        assert current_clock().monotonic() == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())


def test_errors_in_groups_are_unwrapped_to_the_first() -> None:
    """However deep the groups are nested."""

    async def fail() -> int:
        message = "deep"
        raise ExceptionGroup(message, [ExceptionGroup(message, [KeyError(message)])])

    async def main() -> None:
        with pytest.raises(KeyError, match="deep"):
            await together(fail())

    virtual.run(main())


def test_cancelling_the_waiter_cancels_the_work() -> None:
    """All of it, before the cancellation goes on."""

    async def main() -> None:
        waiter = asyncio.ensure_future(together(echo(1, 10), echo(2, 10)))
        await pause(1)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())
