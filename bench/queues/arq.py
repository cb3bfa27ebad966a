"""arq on Redis: a worker in the event loop, which looks for jobs every 0.5 s."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def work(_ctx: dict[str, Any], number: int) -> None:
    """Do the job."""
    begun(number)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a job."""
    pool = await create_pool(RedisSettings.from_dsn(url))

    async def submit(number: int) -> None:
        await pool.enqueue_job("work", number)

    yield submit
    await pool.aclose()


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run a worker with as many places as ours."""
    settings = RedisSettings.from_dsn(url)
    worker = Worker([work], redis_settings=settings, handle_signals=False, max_jobs=64)
    running = asyncio.create_task(worker.async_run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
