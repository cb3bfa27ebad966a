"""taskiq on Redis: its stream broker, the one that acknowledges, and a receiver in the loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def _work(number: int) -> None:
    begun(number)


def _made(url: str) -> tuple[RedisStreamBroker, Any]:
    broker = RedisStreamBroker(url)
    return broker, broker.task(task_name="work")(_work)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a task."""
    broker, work = _made(url)
    await broker.startup()

    async def submit(number: int) -> None:
        await work.kiq(number)

    yield submit
    await broker.shutdown()


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run a receiver, which has a hundred places."""
    broker, _ = _made(url)
    running = asyncio.create_task(run_receiver_task(broker, run_startup=True))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
