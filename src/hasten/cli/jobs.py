"""``hasten jobs``: runs to be done later, submitted, looked at, cancelled, retried.

Works on the state of this machine, or of the database the settings name, with whatever
server or worker is there to do them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table

from hasten.app import DEFAULT_APP, pick_app
from hasten.caller import LOCAL
from hasten.cli.run import AppName, Assigned, InputFile, SampleName, read_inputs
from hasten.cli.terminal import AsJson, ago, err, out, seconds, with_runtime, write_json
from hasten.clock import current_clock
from hasten.jobs.job import ATTEMPTS, MAX_ATTEMPTS, MAX_PRIORITY, NORMAL, JobFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hasten.jobs.job import JobRecord
    from hasten.wire import Runtime
    from hasten.wire_jobs import RuntimeJobs

FAILED = 1

JobId = Annotated[str, typer.Argument(help="The job.")]


def add(command: typer.Typer, what: str) -> None:
    """Add the verbs."""
    jobs = typer.Typer(help=what, no_args_is_help=True)
    for verb, help_ in (
        (submit, "Submit a job and say its id."),
        (list_jobs, "List jobs, newest first."),
        (show, "Show one job."),
        (cancel, "Cancel a job that waits or runs."),
        (retry, "Queue a dead or cancelled job again; it goes on from its finished steps."),
        (dead, "List the jobs that failed as often as they may."),
        (cron, "List what is done at set times, the next one first."),
    ):
        jobs.command("list" if verb is list_jobs else verb.__name__, help=help_)(verb)
    command.add_typer(jobs, name="jobs")


def submit(
    app: AppName = DEFAULT_APP,
    mode: Annotated[str | None, typer.Option(help="A mode; by default its own choice.")] = None,
    file: InputFile = None,
    sample: SampleName = None,
    assign: Assigned = None,
    speed: Annotated[float | None, typer.Option(help="Pace of its clock.")] = None,
    priority: Annotated[
        int,
        typer.Option(min=-MAX_PRIORITY, max=MAX_PRIORITY, help="The higher, the sooner."),
    ] = NORMAL,
    delay: Annotated[
        float, typer.Option(min=0, help="Seconds before which it must not start.")
    ] = 0.0,
    attempts: Annotated[
        int, typer.Option(min=1, max=MAX_ATTEMPTS, help="How often it may fail before it is dead.")
    ] = ATTEMPTS,
    key: Annotated[
        str | None, typer.Option(help="With a key that is known, its job is shown instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job; a server or ``hasten worker`` on this state does it."""

    async def work(runtime: Runtime) -> JobRecord:
        inputs = read_inputs(pick_app(runtime.apps, app), file, sample, assign or [])
        from hasten.wire_jobs import RuntimeJobs

        return await RuntimeJobs(runtime).submit(
            app,
            inputs,
            LOCAL,
            mode=mode,
            speed=speed,
            priority=priority,
            due_s=current_clock().now() + delay,
            attempts=attempts,
            key=key,
        )

    _tell(with_runtime(work), as_json=as_json)


def list_jobs(
    app: Annotated[str | None, typer.Option(help="Only of this application.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only queued, running, done, cancelled or dead ones.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs."""
    _list(JobFilter(app=app, status=status, limit=limit), as_json=as_json)


def dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List dead jobs with what went wrong."""
    _list(JobFilter(status="dead", limit=limit), as_json=as_json)


def cron(as_json: AsJson = False) -> None:
    """List crons."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        from hasten.wire_jobs import RuntimeJobs

        return RuntimeJobs(runtime).cron.upcoming()

    lines = with_runtime(work)
    if as_json:
        write_json(lines)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("cron", "app", "at (UTC)", "next", "when these tags change"):
        table.add_column(heading, no_wrap=True)
    for line in lines:
        due = datetime.fromtimestamp(line["due_s"], UTC)
        tags = " ".join(line["tags"])
        table.add_row(line["name"], line["app"], line["at"], f"{due:%Y-%m-%d %H:%M}", tags)
    out.print(table)


def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    _tell(
        _on_job(job_id, lambda jobs, job: jobs.queue.find(job.job_id, job.caller)), as_json=as_json
    )


def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a job."""
    _tell(
        _on_job(job_id, lambda jobs, job: jobs.queue.cancel(job.job_id, job.caller)),
        as_json=as_json,
    )


def retry(job_id: JobId, as_json: AsJson = False) -> None:
    """Retry a job."""
    _tell(_on_job(job_id, lambda jobs, job: jobs.retry(job.job_id, job.caller)), as_json=as_json)


def _on_job(
    job_id: str, act: Callable[[RuntimeJobs, JobRecord], Awaitable[JobRecord]]
) -> JobRecord:
    """Do something with a job, whoever's it is: the state folder is open to who sits here."""

    async def work(runtime: Runtime) -> JobRecord:
        from hasten.wire_jobs import RuntimeJobs

        jobs = RuntimeJobs(runtime)
        return await act(jobs, await jobs.queue.any(job_id))

    return with_runtime(work)


def _list(which: JobFilter, *, as_json: bool) -> None:
    found = with_runtime(lambda runtime: runtime.queue.list(which))
    if as_json:
        write_json([_plain(job) for job in found])
    elif found:
        _draw(found)
    else:
        err.print("no such jobs; hasten jobs submit makes one")


def _draw(found: Sequence[JobRecord]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("job", "app", "state", "tries", "waited", "created", "run"):
        right = heading in {"tries", "waited", "created"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    table.add_column("error")
    for job in found:
        table.add_row(
            job.job_id,
            job.app,
            job.status,
            str(job.attempt),
            seconds(job.waited_s),
            ago(job.created_s),
            job.run_id,
            "" if job.error is None else job.error["message"],
        )
    out.print(table)


def _tell(job: JobRecord, *, as_json: bool) -> None:
    if as_json:
        write_json(_plain(job))
        return
    out.print(f"{job.job_id}  {job.app}  {job.status}  {job.run_id}", soft_wrap=True)
    if job.error is not None:
        err.print(job.error["message"], markup=False, soft_wrap=True)


def _plain(job: JobRecord) -> dict[str, Any]:
    return {**msgspec.to_builtins(job), "waited_s": job.waited_s}
