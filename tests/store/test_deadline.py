"""A deadline whose timer stands: late blocks end, others do not, cancellation stays one."""

from __future__ import annotations

import asyncio

import pytest

from hasten import virtual
from hasten.store.deadline import StandingDeadline


def test_each_block_has_its_own_time() -> None:
    """However many went before it, and however long nothing did."""

    async def main() -> None:
        deadline = StandingDeadline(1.0)
        loop = asyncio.get_running_loop()
        for pause_s in (0.0, 0.3, 0.9, 5.0, 0.1):
            async with deadline:
                await asyncio.sleep(0.9)
            await asyncio.sleep(pause_s)
        began_s = loop.time()
        with pytest.raises(TimeoutError):
            async with deadline:
                await asyncio.sleep(60)
        assert loop.time() - began_s == pytest.approx(1.0)
        async with deadline:
            await asyncio.sleep(0.9)

    virtual.run(main())


def test_an_error_and_a_cancellation_go_through() -> None:
    """Only lateness becomes a timeout."""

    async def main() -> None:
        deadline = StandingDeadline(1.0)
        with pytest.raises(KeyError):
            async with deadline:
                raise KeyError

        async def work() -> None:
            async with deadline:
                await asyncio.sleep(60)

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual.run(main())


def test_it_moves_to_another_loop() -> None:
    """A timer of a loop that is gone must not be relied on."""
    deadline = StandingDeadline(1.0)

    async def late() -> None:
        with pytest.raises(TimeoutError):
            async with deadline:
                await asyncio.sleep(60)

    async def quick() -> None:
        async with deadline:
            pass

    virtual.run(quick())
    virtual.run(late())
