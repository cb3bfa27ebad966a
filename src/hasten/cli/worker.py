"""``hasten worker``: does jobs, beside the server or without one, until told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hasten.cli.terminal import err, seconds, with_runtime
from hasten.clock import current_clock
from hasten.errors import InvalidInput

if TYPE_CHECKING:
    from hasten.jobs.job import JobRecord
    from hasten.jobs.worker import Told
    from hasten.wire import Runtime


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("worker", help=what)(worker)


def worker(
    concurrency: Annotated[int | None, typer.Option(min=1, help="Jobs at once.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder that holds all state.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask at OPENAI_BASE_URL.")] = None,
) -> None:
    """Do jobs until interrupted; those that do not end in time are given back."""
    from hasten.settings import load_settings

    settings = load_settings(job_concurrency=concurrency, home=home, model=model)
    if not settings.job_concurrency:
        message = "job_concurrency is 0: a worker that does nothing; see --concurrency"
        raise InvalidInput(message, field="--concurrency", value=0)
    with_runtime(_work, settings)


async def _work(runtime: Runtime) -> None:
    from hasten.wire_jobs import RuntimeJobs

    jobs = RuntimeJobs(runtime)
    progress = _Progress()
    jobs.work().listeners.append(progress.tell)
    err.print(
        f"[bold]Worker[/bold] on {runtime.database}  ·  "
        f"{runtime.settings.job_concurrency} jobs at once",
        soft_wrap=True,
    )
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:  # Ctrl-C or SIGTERM: the end is in order
        err.print(f"letting {progress.live} jobs end, {runtime.settings.drain_s:g} s at most")
    finally:
        await jobs.drain()


class _Progress:
    """A line for each job that begins and ends, with how many are under way."""

    def __init__(self) -> None:
        self._began_s: dict[str, float] = {}

    @property
    def live(self) -> int:
        """How many are under way."""
        return len(self._began_s)

    def tell(self, told: Told, job: JobRecord) -> None:
        """Say it."""
        now_s = current_clock().now()
        if told == "started":
            self._began_s[job.job_id] = now_s
            rest = f"try {job.attempt}" if job.attempt > 1 else f"waited {seconds(job.waited_s)}"
        elif job.job_id in self._began_s:
            rest = f"after {seconds(now_s - self._began_s.pop(job.job_id))}"
        else:
            return
        err.print(
            f"{job.job_id}  {job.app:<12} {told:<10} {rest}  [dim]{self.live} under way[/dim]",
            soft_wrap=True,
        )
