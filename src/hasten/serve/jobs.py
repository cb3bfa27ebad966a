"""Jobs over HTTP: submit one and go, follow it as any run, look at them, cancel, retry.

Owns the routes under ``/api/jobs``. A job's ``run_id`` is known at once, and
``/api/runs/{run_id}/events`` follows it from before it starts. Leaves what a job is to
``jobs`` and executing it to ``wire_jobs``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, Field

from hasten.caller import Caller
from hasten.errors import Forbidden, InvalidInput
from hasten.jobs.job import (
    ATTEMPTS,
    MAX_ATTEMPTS,
    MAX_PRIORITY,
    NORMAL,
    JobFilter,
    JobRecord,
    JobStatus,
)
from hasten.serve.auth import CallerOf
from hasten.serve.runs import RunRequest
from hasten.wire_jobs import RuntimeJobs

router = APIRouter(tags=["jobs"])

LIST_LIMIT = 100

MAX_DELAY_S = 366 * 86_400.0


class JobBody(RunRequest):
    """What ``POST /api/jobs`` takes: a run, and when and how often to try it."""

    priority: int = Field(
        NORMAL,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="The higher, the sooner; above 0 for admins only.",
    )
    delay_s: float = Field(0.0, ge=0, le=MAX_DELAY_S, description="Start no sooner than in this.")
    start_at: AwareDatetime | None = Field(None, description="Start no sooner than then.")
    attempts: int = Field(
        ATTEMPTS, ge=1, le=MAX_ATTEMPTS, description="How often it may fail before it is dead."
    )


async def jobs_of(request: Request) -> RuntimeJobs:
    """Return the server's jobs."""
    jobs: RuntimeJobs = request.app.state.jobs
    return jobs


JobsOf = Annotated[RuntimeJobs, Depends(jobs_of)]

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


@router.post("/api/jobs", status_code=202)
async def submit_job(
    asked: JobBody,
    jobs: JobsOf,
    caller: CallerOf,
    response: Response,
    key: Key = None,
) -> dict[str, Any]:
    """Keep a job and answer at once; `Idempotency-Key` gives the job that has it already."""
    if asked.priority > NORMAL and caller.role != "admin":
        message = f"priority {asked.priority} is for admins; yours is at most {NORMAL}"
        raise Forbidden(message)
    job = await jobs.submit(
        asked.app,
        asked.inputs,
        caller,
        mode=asked.mode,
        speed=asked.speed,
        priority=asked.priority,
        due_s=_due_s(asked, jobs.queue.clock.now()),
        attempts=asked.attempts,
        key=key,
    )
    response.headers["Location"] = f"/api/jobs/{job.job_id}"
    response.headers["Hasten-Run-Id"] = job.run_id
    return shown(job, whole=False)


@router.get("/api/jobs")
async def list_jobs(
    jobs: JobsOf,
    caller: CallerOf,
    app: str | None = None,
    status: JobStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = LIST_LIMIT,
) -> dict[str, Any]:
    """Return the caller's jobs, newest first; an admin's whole tenant's. `dead` is a status."""
    found = await jobs.queue.list(of_caller(caller, app=app, status=status, limit=limit))
    return {"jobs": [shown(job, whole=False) for job in found]}


@router.get("/api/jobs/{job_id}")
async def show_job(job_id: str, jobs: JobsOf, caller: CallerOf) -> dict[str, Any]:
    """Return one job with its inputs; its answer is its run's."""
    return shown(await jobs.queue.find(job_id, caller), whole=True)


@router.post("/api/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, jobs: JobsOf, caller: CallerOf) -> dict[str, Any]:
    """Cancel a job that waits or runs; one that is over stays as it is."""
    return shown(await jobs.queue.cancel(job_id, caller), whole=False)


@router.post("/api/jobs/{job_id}/retry", status_code=202)
async def retry_job(job_id: str, jobs: JobsOf, caller: CallerOf) -> dict[str, Any]:
    """Queue a dead or cancelled job again, as a new run that goes on from its finished steps."""
    return shown(await jobs.retry(job_id, caller), whole=False)


@router.get("/api/cron")
async def list_crons(jobs: JobsOf, _caller: CallerOf) -> dict[str, Any]:
    """Return what applications want done at set times, the next one due first."""
    return {"cron": jobs.cron.upcoming()}


def of_caller(caller: Caller, **which: Any) -> JobFilter:
    """Return a filter that a caller's own jobs pass; an admin's tenant's."""
    user = None if caller.role == "admin" else caller.user
    return JobFilter(tenant=caller.tenant, user=user, **which)


def shown(job: JobRecord, *, whole: bool) -> dict[str, Any]:
    """Return a job's line as people see it, without where it is done; ``whole`` adds its inputs."""
    line: dict[str, Any] = msgspec.to_builtins(job)
    line["waited_s"] = job.waited_s
    for name in ("role", "lease_s", "worker", *(() if whole else ("inputs",))):
        del line[name]
    return line


def _due_s(asked: JobBody, now_s: float) -> float:
    """Return when the job may start."""
    due_s = now_s + asked.delay_s
    if asked.start_at is None:
        return due_s
    at_s = asked.start_at.timestamp()
    if at_s > now_s + MAX_DELAY_S:
        message = f"start_at is more than {MAX_DELAY_S / 86_400:g} days away"
        raise InvalidInput(message, field="start_at", value=str(asked.start_at))
    return max(due_s, at_s)
