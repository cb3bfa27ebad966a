"""Queues of others, doing the same nothing: huey on SQLite, bare PgQueuer on PostgreSQL."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hasten.testing.postgres import run_postgres

if TYPE_CHECKING:
    from collections.abc import Callable

Runners = dict[str, "Callable[[], float] | str"]


def here(at: float, count: int) -> Runners:
    """Return who starts a job in the process that submits it."""
    return {"huey": partial(_huey_ms, at, count) if find_spec("huey") else "not installed"}


def postgres(at: float, count: int) -> Runners:
    """Return who works on PostgreSQL."""
    there = find_spec("pgqueuer")
    return {"pgqueuer": partial(_pgqueuer_ms, at, count) if there else "not installed"}


def quantile(took_ms: list[float], at: float) -> float:
    """Return the figure below which the share ``at`` lies."""
    return statistics.quantiles(took_ms, n=1000, method="inclusive")[round(at * 1000) - 1]


def _huey_ms(at: float, count: int) -> float:
    """Its consumer's threads on a SQLite file, with its defaults."""
    from huey import SqliteHuey

    with tempfile.TemporaryDirectory() as folder:
        huey = SqliteHuey(filename=f"{folder}/huey.db")
        begun, took_ms, began = threading.Event(), [], 0.0

        @huey.task()
        def work() -> None:
            took_ms.append((perf_counter() - began) * 1e3)
            begun.set()

        consumer = huey.create_consumer(workers=1)
        consumer.start()
        try:
            for _ in range(min(count, 50)):
                begun.clear()
                began = perf_counter()
                work()
                begun.wait(10)
        finally:
            consumer.stop(graceful=True)
        return quantile(took_ms, at)


def _pgqueuer_ms(at: float, count: int) -> float:
    with run_postgres() as server:
        return quantile(asyncio.run(_pgqueuer_pick_ups(server.new_database(), count)), at)


async def _pgqueuer_pick_ups(url: str, count: int) -> list[float]:
    """One connection that submits and one that works, with its defaults."""
    import asyncpg
    from pgqueuer import Queries, QueueManager
    from pgqueuer.db import AsyncpgDriver

    submitting = Queries(AsyncpgDriver(await asyncpg.connect(url)))
    await submitting.install()
    manager = QueueManager(Queries(AsyncpgDriver(await asyncpg.connect(url))))
    news, took_ms, began = asyncio.Event(), [], 0.0

    @manager.entrypoint("work")
    async def work(_job: Any) -> None:
        took_ms.append((perf_counter() - began) * 1e3)
        news.set()

    working = asyncio.create_task(manager.run(dequeue_timeout=timedelta(seconds=30)))
    await asyncio.sleep(0.5)
    for _ in range(count):
        news.clear()
        began = perf_counter()
        await submitting.enqueue("work", b"")
        await news.wait()
        await asyncio.sleep(0.002)
    manager.shutdown.set()
    await working
    return took_ms
