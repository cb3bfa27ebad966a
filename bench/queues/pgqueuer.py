"""PgQueuer on PostgreSQL: a manager in the event loop, told by LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from pgqueuer import Queries, QueueManager
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pgqueuer.models import Job


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a job."""
    async with asyncpg.create_pool(url) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))

        async def submit(number: int) -> None:
            await queries.enqueue("work", str(number).encode())

        yield submit


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run a manager as it comes."""
    queries = Queries(AsyncpgDriver(await asyncpg.connect(url)))
    await queries.install()
    manager = QueueManager(queries)

    @manager.entrypoint("work")
    async def work(job: Job) -> None:
        assert job.payload is not None  # noqa: S101 - it was submitted with one
        begun(int(job.payload))

    running = asyncio.create_task(manager.run())
    try:
        yield
    finally:
        manager.shutdown.set()
        await asyncio.wait([running])
