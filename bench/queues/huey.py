"""huey on SQLite: its consumer's one thread, which looks for tasks every 0.1 s and less often."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from huey import SqliteHuey

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


def _made(url: str) -> tuple[SqliteHuey, Any]:
    path, _, options = url.removeprefix("sqlite:///").partition("?")
    huey = SqliteHuey(filename=path, fsync=True if options == "synced" else None)
    return huey, huey.task(name="work")(begun)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a task."""
    _, work = _made(url)

    async def submit(number: int) -> None:
        work(number)

    yield submit


@asynccontextmanager
async def working(url: str) -> AsyncIterator[None]:
    """Run its consumer as it comes."""
    huey, _ = _made(url)
    consumer = huey.create_consumer()
    consumer.start()
    try:
        yield
    finally:
        consumer.stop(graceful=False)
