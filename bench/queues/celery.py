"""Celery on Redis: its worker's processes, one a core; a task is acknowledged when it is done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import worker_ready

from bench.queues.job import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

app = Celery("bench")
app.conf.task_acks_late = True  # or a killed worker's tasks are lost
app.conf.worker_redirect_stdouts = False
task = app.task(name="work", ignore_result=True)(begun)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Give a call that submits a task."""
    app.conf.broker_url = url

    async def submit(number: int) -> None:
        task.delay(number)

    yield submit


def work_for_ever(url: str, is_ready: Callable[[], None]) -> None:
    """Run its worker as it comes."""
    app.conf.broker_url = url

    def say(**_: Any) -> None:
        is_ready()

    worker_ready.connect(say, weak=False)
    app.worker_main(["worker", "--loglevel=ERROR"])
