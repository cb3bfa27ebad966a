"""Procrastinate on PostgreSQL: a worker in the event loop, told by LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from procrastinate import App, PsycopgConnector

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def _work(number: int) -> None:
    begun(number)


def _made(url: str) -> App:
    app = App(connector=PsycopgConnector(conninfo=url))
    app.task(name="work")(_work)
    return app


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a job."""
    async with _made(url).open_async() as app:

        async def submit(number: int) -> None:
            await app.configure_task("work").defer_async(number=number)

        yield submit


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run a worker with as many places as ours."""
    async with _made(url).open_async() as app:
        await app.schema_manager.apply_schema_async()
        running = asyncio.create_task(
            app.run_worker_async(concurrency=64, install_signal_handlers=False)
        )
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
