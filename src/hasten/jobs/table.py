"""The jobs in a database: what each of a queue's acts means in SQL, on SQLite and PostgreSQL.

Every function is one whole act on a connection inside a transaction, so that a job is
in one place at any time: taken by one worker, settled by the one that has it. Leaves
waking workers to ``queue`` and the run's own lines to ``store/sql/sink``.

A lease is judged by the clock of the database, where there is one for all machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from hasten.clock import Clock
from hasten.errors import InvalidInput, NotFound, RunLost
from hasten.jobs.job import INTERRUPTIONS, JobRecord
from hasten.jobs.statements import (
    CHANNEL,
    HOLD,
    LOOK,
    LOST,
    NEWS,
    QUEUED,
    RUNNING,
    SETTLE,
    SETTLE_OVER,
    now_of,
)
from hasten.store.sql.batch import insert_one
from hasten.store.sql.schema import job_steps, jobs, runs
from hasten.store.sql.sink import end_run
from hasten.store.sql.words import words_of
from hasten.trace.event import RunRecord
from hasten.trace.recorder import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from hasten.jobs.job import JobFilter, JobStatus
    from hasten.store.sql.words import Row

_TAKE_LOCK = 0x6A6F6273
"""The advisory lock of whoever takes jobs, the word ``jobs``: limits count over all workers."""


class Look(msgspec.Struct, frozen=True):
    """Whether a job is due, and how long the next lease lasts: ``None`` if there is none."""

    is_due: bool
    lease_left_s: float | None

    @property
    def is_lease_over(self) -> bool:
        """Whether somebody has not held on to a job in time."""
        return self.lease_left_s is not None and self.lease_left_s < 0

    @property
    def has_work(self) -> bool:
        """Whether there is a job to take, or to take back."""
        return self.is_due or self.is_lease_over


class TakeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs to take, for how long, and of one application over all workers at most."""

    jobs: int
    lease_s: float
    per_app: int = 0


def submit_once(connection: Connection, job: JobRecord, run: RunRecord) -> JobRecord:
    """Keep a job with the line of its run, unless its key has one already; return that job.

    Raises ``InvalidInput`` when that one was asked for something else.
    """
    row = msgspec.structs.asdict(job)
    if not insert_one(connection, jobs, row, ("tenant", "user", "key"), jobs.c.key.is_not(None)):
        return _of_key(connection, job)
    connection.execute(insert(runs), msgspec.structs.asdict(run))
    words_of(connection).notify(CHANNEL, NEWS)
    return job


def in_turn(rows: Iterable[Row]) -> list[JobRecord]:
    """Return the jobs that ``TAKE`` gave, first the one whose turn came first."""
    found = [JobRecord(**row) for row in rows]
    return sorted(found, key=lambda job: (-job.priority, job.due_s, job.job_id))


def take_within(
    connection: Connection, worker: str, limits: TakeLimits, now_s: float
) -> list[JobRecord]:
    """Do as ``TAKE`` does, but pass over applications that have ``per_app`` under way."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_TAKE_LOCK)))
    found: list[JobRecord] = []
    room = _room(connection, limits.per_app)
    while len(found) < limits.jobs:
        full = [app for app, left in room.items() if left <= 0]
        wanted = limits.jobs - len(found)
        rows = _rows(connection, _waiting(now_s, full, [job.job_id for job in found]).limit(wanted))
        found += _within(rows, room, limits.per_app)
        if len(rows) < wanted:
            break
    if found:
        _hand_over(connection, found, worker, limits.lease_s)
    return [started(job, worker, now_s) for job in found]


def _waiting(now_s: float, full: list[str], besides: list[str]) -> Select[Any]:
    query = select(jobs).where(QUEUED, jobs.c.due_s <= now_s)
    if full:
        query = query.where(jobs.c.app.not_in(full))
    if besides:
        query = query.where(jobs.c.job_id.not_in(besides))
    return query.order_by(jobs.c.priority.desc(), jobs.c.due_s, jobs.c.job_id)


def _room(connection: Connection, per_app: int) -> dict[str, int]:
    """Return how many more jobs each application that has any may have under way."""
    query = select(jobs.c.app, func.count()).where(RUNNING)
    counted = connection.execute(query.group_by(jobs.c.app))
    return {app: per_app - count for app, count in counted}


def _within(found: Sequence[JobRecord], room: dict[str, int], per_app: int) -> list[JobRecord]:
    """Return those whose application has room, and count them."""
    kept = []
    for job in found:
        room.setdefault(job.app, per_app)
        if room[job.app] > 0:
            room[job.app] -= 1
            kept.append(job)
    return kept


def _hand_over(
    connection: Connection, found: Sequence[JobRecord], worker: str, lease_s: float
) -> None:
    now = _now(connection)
    taken = {
        "status": "running",
        "worker": worker,
        "attempt": jobs.c.attempt + 1,
        "started_s": func.coalesce(jobs.c.started_s, now),
        "lease_s": now + lease_s,
    }
    ids = [job.job_id for job in found]
    connection.execute(update(jobs).where(jobs.c.job_id.in_(ids)).values(taken))


def started(job: JobRecord, worker: str, now_s: float) -> JobRecord:
    """Return a job as its next attempt's worker has it."""
    started_s = now_s if job.started_s is None else job.started_s
    return msgspec.structs.replace(
        job, status="running", worker=worker, attempt=job.attempt + 1, started_s=started_s
    )


def beat(
    connection: Connection, worker: str, job_ids: Sequence[str], lease_s: float
) -> dict[str, int]:
    """Hold on to jobs; return the attempt of each that is still ``worker``'s own.

    Others it was given without coming to know, as when a store broke off, fall to the lease.
    """
    own = (jobs.c.worker == worker) & RUNNING & jobs.c.job_id.in_(job_ids)
    connection.execute(update(jobs).where(own).values(lease_s=_now(connection) + lease_s))
    rows = connection.execute(select(jobs.c.job_id, jobs.c.attempt).where(own))
    return {job_id: attempt for job_id, attempt in rows}  # noqa: C416 - rows are not pairs to mypy


def hold(connection: Connection, job: JobRecord) -> None:
    """Let nobody else have the job before this transaction ends. Raises ``RunLost``."""
    ours = {"status": "running", "worker": job.worker, "attempt": job.attempt}
    if HOLD.run(connection, {"this_job": job.job_id}) != [ours]:
        message = f"job {job.job_id} is not this worker's any more"
        raise RunLost(message)


def settle(
    connection: Connection,
    job: JobRecord,
    status: JobStatus,
    error: dict[str, str] | None,
    due_s: float | None,
    now_s: float,
) -> None:
    """Note how an attempt ended, under ``hold``; with ``due_s`` there will be another one."""
    is_over = due_s is None
    values = {
        "this_job": job.job_id,
        "ending": status,
        "failure": error,
        "over_s": now_s if is_over else None,
        "failed": int(not is_over or status == "dead"),
        "again_at_s": due_s,
        "next_worker": None if is_over else "",
    }
    act = SETTLE if not is_over or status == "dead" else SETTLE_OVER
    act.run(connection, values)


def give_up(connection: Connection, job: JobRecord, error: dict[str, str], now_s: float) -> None:
    """End a job that was taken and cannot be run, and its run. Raises ``RunLost``."""
    hold(connection, job)
    settle(connection, job, "dead", error, None, now_s)
    end_run(connection, job.run_id, "failed", error, now_s)


def release(connection: Connection, worker: str) -> int:
    """Give back what a worker that stops has, for others to take at once; return how many."""
    given = {"status": "queued", "worker": "", "lease_s": None}
    own = (jobs.c.worker == worker) & RUNNING
    count = connection.execute(update(jobs).where(own).values(given)).rowcount
    if count:
        words_of(connection).notify(CHANNEL, NEWS)
    return count


def bury(connection: Connection, worker: str, now_s: float) -> int:
    """Take back what a process that is gone had; return how many jobs."""
    return _interrupt(connection, jobs.c.worker == worker, now_s)


def expire(connection: Connection, now_s: float) -> int:
    """Take back what workers have not held on to in time; return how many jobs."""
    return _interrupt(connection, jobs.c.lease_s < _now(connection), now_s)


def _interrupt(connection: Connection, which: ColumnElement[bool], now_s: float) -> int:
    query = select(jobs).where(RUNNING, which)
    found = _rows(connection, query.with_for_update(skip_locked=True))
    for job in found:
        changed: dict[str, Any] = {
            "status": "queued",
            "worker": "",
            "lease_s": None,
            "interruptions": job.interruptions + 1,
        }
        if job.interruptions + 1 >= INTERRUPTIONS:
            changed |= {"status": "dead", "ended_s": now_s, "error": INTERRUPTED}
            end_run(connection, job.run_id, "failed", INTERRUPTED, now_s)
        connection.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(changed))
    if found:
        words_of(connection).notify(CHANNEL, NEWS)
    return len(found)


def cancel(connection: Connection, job_id: str, now_s: float) -> JobRecord:
    """Cancel a job that is not over, also under its worker's hands; return its line."""
    job = one(connection, jobs.c.job_id == job_id, is_held=True)
    if job.status not in {"queued", "running"}:
        return job
    error = {"code": "cancelled", "message": f"job {job_id} was cancelled"}
    changed = {"status": "cancelled", "ended_s": now_s, "error": error, "lease_s": None}
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(changed))
    end_run(connection, job.run_id, "cancelled", error, now_s)
    _forget_steps(connection, [job_id])
    words_of(connection).notify(CHANNEL, LOST)
    return msgspec.structs.replace(job, **changed)


def retry(connection: Connection, job_id: str, run_id: str, now_s: float) -> JobRecord:
    """Queue a dead or cancelled job once more, as a new run that goes on from the steps it did.

    Raises ``InvalidInput`` for a job in any other state.
    """
    job = one(connection, jobs.c.job_id == job_id, is_held=True)
    if job.status not in {"dead", "cancelled"}:
        message = f"job {job_id} is {job.status}; only a dead or cancelled one can be retried"
        raise InvalidInput(message, field="status", value=job.status, allowed=("dead", "cancelled"))
    changed: dict[str, Any] = {
        "run_id": run_id,
        "status": "queued",
        "due_s": now_s,
        "started_s": None,
        "ended_s": None,
        "failures": 0,
        "interruptions": 0,
        "worker": "",
        "error": None,
    }
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(changed))
    old = connection.execute(select(runs).where(runs.c.run_id == job.run_id)).mappings().first()
    if old is not None:
        names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated", "inputs")
        kept = {name: old[name] for name in names}
        run = RunRecord(run_id=run_id, started_s=now_s, status="queued", **kept)
        connection.execute(insert(runs), msgspec.structs.asdict(run))
    words_of(connection).notify(CHANNEL, NEWS)
    return msgspec.structs.replace(job, **changed)


def one(connection: Connection, which: ColumnElement[bool], *, is_held: bool = False) -> JobRecord:
    """Return the only such job, held until the transaction ends if asked. Raises ``NotFound``."""
    query = select(jobs).where(which)
    found = _rows(connection, query.with_for_update() if is_held else query)
    if not found:
        message = "no such job"
        raise NotFound(message)
    return found[0]


def listing(connection: Connection, which: JobFilter) -> list[JobRecord]:
    """Return the jobs that match, newest first."""
    query = select(jobs)
    for name in ("tenant", "user", "app", "status"):
        if (value := getattr(which, name)) is not None:
            query = query.where(jobs.c[name] == value)
    newest = query.order_by(jobs.c.created_s.desc(), jobs.c.job_id.desc())
    return _rows(connection, newest.limit(which.limit))


def count(connection: Connection) -> dict[str, int]:
    """Return how many jobs there are in each state that has any."""
    rows = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
    return {status: number for status, number in rows}  # noqa: C416 - rows are not pairs to mypy


def spent_usd(connection: Connection, since_s: float) -> float:
    """Return what the runs of cron's jobs, and of those for changed data, have cost since then."""
    spent = select(func.coalesce(func.sum(runs.c.cost_usd), 0.0)).join(
        jobs, jobs.c.run_id == runs.c.run_id
    )
    ours = (runs.c.started_s >= since_s) & (jobs.c.origin != "api")
    return float(connection.execute(spent.where(ours)).scalar_one())


def look(connection: Connection, now_s: float) -> Look:
    """Return what there is for workers to do, and when there may be more unasked."""
    (found,) = LOOK.run(connection, {"due_s": now_s, "now_s": now_s})
    return Look(is_due=bool(found["is_due"]), lease_left_s=found["lease_left_s"])


def erase(connection: Connection, tenant: str, user: str) -> int:
    """Delete the jobs of one person with what they did; return how many."""
    theirs = (jobs.c.tenant == tenant) & (jobs.c.user == user)
    _forget_steps(connection, select(jobs.c.job_id).where(theirs))
    return connection.execute(delete(jobs).where(theirs)).rowcount


def _forget_steps(connection: Connection, job_ids: Any) -> None:
    connection.execute(delete(job_steps).where(job_steps.c.job_id.in_(job_ids)))


def _of_key(connection: Connection, job: JobRecord) -> JobRecord:
    same = (jobs.c.tenant == job.tenant) & (jobs.c.user == job.user) & (jobs.c.key == job.key)
    known = one(connection, same)
    if (known.app, known.mode, known.inputs) != (job.app, job.mode, job.inputs):
        message = f"key {job.key!r} belongs to job {known.job_id}, which has other inputs"
        raise InvalidInput(message, field="key", value=job.key)
    return known


def _rows(connection: Connection, query: Select[Any]) -> list[JobRecord]:
    return [JobRecord(**row) for row in connection.execute(query).mappings()]


def _now(connection: Connection) -> ColumnElement[float]:
    """Return the time that leases are reckoned from, as ``now_of`` says."""
    if connection.dialect.name == "postgresql":
        return now_of("postgresql")
    return literal(Clock().now())
