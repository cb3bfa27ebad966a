"""The statements every job goes through, made once: kept, taken, held, settled.

On PostgreSQL each is one statement, so one way there and back; on SQLite two where SQL
of its kind has to. Leaves what they mean together to ``table`` and ``queue``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Text,
    Update,
    bindparam,
    cast,
    delete,
    exists,
    extract,
    func,
    literal_column,
    select,
    update,
)

from hasten.store.sql.prepared import Prepared, insert_filled, row_values
from hasten.store.sql.schema import JsonText, job_steps, jobs, runs

if TYPE_CHECKING:
    from hasten.jobs.job import JobRecord
    from hasten.store.sql.prepared import Statement
    from hasten.trace.event import RunRecord

CHANNEL = "hasten_jobs"
"""Where PostgreSQL tells its listeners one of two words."""

NEWS, LOST = "jobs", "jobs-lost"
"""There may be something to take; something may have been taken away."""

QUEUED = jobs.c.status == literal_column("'queued'")
RUNNING = jobs.c.status == literal_column("'running'")
"""Said in words of the statement, since an index of such rows alone serves nothing else."""


def kept_values(job: JobRecord, run: RunRecord) -> dict[str, Any]:
    """Return the values of ``KEEP`` and ``KEEP_TAKEN``: a job, and its run's line."""
    of_job = row_values(jobs, msgspec.structs.asdict(job))
    return of_job | row_values(runs, msgspec.structs.asdict(run))


def now_of(dialect: str) -> ColumnElement[float]:
    """Return the database's own time, in seconds since the epoch: one clock for all machines.

    SQLite's is its machine's, given as ``now_s``.
    """
    if dialect == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return bindparam("now_s", type_=Double)


def _keep(dialect: str) -> list[Statement]:
    if dialect == "postgresql":
        line = insert_filled(runs).cte("line")
        return [select(func.pg_notify(CHANNEL, NEWS)).add_cte(line, insert_filled(jobs).cte("job"))]
    return [insert_filled(jobs), insert_filled(runs)]


def _keep_taken(dialect: str) -> list[Statement]:
    lease_s = now_of(dialect) + bindparam("lasts_s", type_=Double)
    job = insert_filled(jobs, lease_s=lease_s)
    if dialect == "postgresql":
        return [insert_filled(runs).add_cte(job.cte("job"))]
    return [job, insert_filled(runs)]


def _take(dialect: str) -> list[Statement]:
    turn = (
        select(jobs.c.job_id)
        .where(QUEUED, jobs.c.due_s <= bindparam("due_s", type_=Double))
        .order_by(jobs.c.priority.desc(), jobs.c.due_s, jobs.c.job_id)
        .limit(bindparam("at_most", type_=Integer))
    )
    taken = update(jobs).values(
        status="running",
        worker=bindparam("taker", type_=Text),
        attempt=jobs.c.attempt + 1,
        started_s=func.coalesce(jobs.c.started_s, now_of(dialect)),
        lease_s=now_of(dialect) + bindparam("lasts_s", type_=Double),
    )
    if dialect == "postgresql":
        picked = turn.with_for_update(skip_locked=True).cte("picked")
        taken = taken.where(jobs.c.job_id == picked.c.job_id)
    else:
        taken = taken.where(jobs.c.job_id.in_(turn))
    return [taken.returning(*jobs.c)]


def _look(dialect: str) -> list[Statement]:
    is_due = QUEUED & (jobs.c.due_s <= bindparam("due_s", type_=Double))
    ends_s = select(func.min(jobs.c.lease_s)).where(RUNNING).scalar_subquery()
    return [
        select(
            exists().where(is_due).label("is_due"),
            (ends_s - now_of(dialect)).label("lease_left_s"),
        )
    ]


def _next_due(_dialect: str) -> list[Statement]:
    waits = QUEUED & (jobs.c.due_s > bindparam("due_s", type_=Double))
    return [select(func.min(jobs.c.due_s).label("next_due_s")).where(waits)]


def _settled() -> Update:
    due_s, worker = bindparam("again_at_s", type_=Double), bindparam("next_worker", type_=Text)
    changed = {
        "status": bindparam("ending", type_=Text),
        "error": bindparam("failure", type_=JsonText),
        "lease_s": None,
        "ended_s": bindparam("over_s", type_=Double),
        "failures": jobs.c.failures + bindparam("failed", type_=Integer),
        "due_s": func.coalesce(due_s, jobs.c.due_s),
        "worker": func.coalesce(worker, jobs.c.worker),
    }
    return update(jobs).where(_this_job()).values(changed)


def _over(dialect: str) -> list[Statement]:
    forget = delete(job_steps).where(job_steps.c.job_id == bindparam("this_job", type_=Text))
    if dialect == "postgresql":
        return [_settled().add_cte(forget.cte("forgotten"))]
    return [_settled(), forget]


def _this_job() -> ColumnElement[bool]:
    return jobs.c.job_id == bindparam("this_job", type_=Text)


KEEP = Prepared(_keep)
"""A job, with its run's line, for whoever takes it first."""

KEEP_TAKEN = Prepared(_keep_taken)
"""One that a worker has from the start, for ``lasts_s`` seconds."""

TAKE = Prepared(_take)
"""The jobs, ``at_most`` so many, whose turn it is: the highest priority, then the longest due."""

LOOK = Prepared(_look)
"""Whether a job is due, and how long the next lease lasts, if there is one."""

NEXT_DUE = Prepared(_next_due)
"""When the next job is due that is not yet."""

HOLD = Prepared(
    lambda _: [
        select(jobs.c.status, jobs.c.worker, jobs.c.attempt).where(_this_job()).with_for_update()
    ]
)
"""Who has a job: nobody else will before the transaction ends."""

SETTLE = Prepared(lambda _: [_settled()])
"""How an attempt ended that may be followed by another, or looked at."""

SETTLE_OVER = Prepared(_over)
"""How the last attempt ended; what its steps did is forgotten."""
