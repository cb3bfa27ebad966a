"""DBOS on SQLite or PostgreSQL: a queue of workflows, which it looks into every second."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dbos import DBOS, DBOSClient, DBOSConfig

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@DBOS.workflow(name="work")
def work(number: int) -> None:
    """Do the job."""
    begun(number)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a workflow."""
    client = DBOSClient(system_database_url=url)

    async def submit(number: int) -> None:
        client.enqueue({"workflow_name": "work", "queue_name": "jobs"}, number)

    yield submit
    client.destroy()


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run it as it comes, but for its logs."""
    config = DBOSConfig(name="bench", system_database_url=url, log_level="ERROR")
    DBOS(config=config)
    DBOS.launch()
    await DBOS.register_queue_async("jobs")
    try:
        yield
    finally:
        DBOS.destroy()
