"""The queue: jobs submitted, taken, held on to, looked at, and who is told of it.

Owns ``JobQueue``, the one interface to jobs, the same on SQLite (one machine) and on
PostgreSQL (many). Nothing polls: whoever changes the queue wakes the workers, by a
callback in its own process, by ``store/peers`` in others of the machine, by ``NOTIFY``
on other machines. Leaves the acts themselves to ``table`` and running jobs to ``worker``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from hasten.clock import Clock
from hasten.errors import NotFound, StoreError
from hasten.jobs import table
from hasten.jobs.job import JobRecord, JobRequest, check_request, new_job
from hasten.jobs.sink import JobSink, JobSteps
from hasten.jobs.statements import (
    CHANNEL,
    KEEP,
    KEEP_TAKEN,
    LOST,
    NEWS,
    NEXT_DUE,
    TAKE,
    kept_values,
)
from hasten.store.peers import ENDED
from hasten.store.sql.schema import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection

    from hasten.caller import Caller
    from hasten.jobs.job import JobFilter
    from hasten.jobs.table import Look, TakeLimits
    from hasten.store.peers import Peers
    from hasten.store.sql import SqlStore
    from hasten.trace.event import RunRecord

T = TypeVar("T")


class IdleWorker(Protocol):
    """A worker as the queue sees it, which may hand it a job as the job is kept."""

    @property
    def lease_s(self) -> float:
        """For how long it gets a job at once."""
        ...

    def reserve(self) -> bool:
        """Keep room for one job if it sleeps and has any; whether it does."""
        ...

    def receive(self, job: JobRecord | None) -> None:
        """Begin the job there was room kept for; ``None`` when it came to nothing."""
        ...


class JobQueue:
    """The jobs in a database. Calls raise ``StoreUnavailable`` when it cannot be asked.

    ``clock`` is real, whatever clock the jobs' runs have. ``told`` is called with the id of a
    run whose job has told something.
    """

    def __init__(
        self,
        store: SqlStore,
        peers: Peers,
        clock: Clock | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.clock = clock or Clock()
        self._peers = peers
        self._told = told
        self._listener: asyncio.Task[None] | None = None
        self._idle: IdleWorker | None = None
        self._handing: set[asyncio.Task[JobRecord]] = set()

    @property
    def worker(self) -> str:
        """The name under which this process takes jobs."""
        return self._peers.name

    def listen(
        self, news: Callable[[], None], lost: Callable[[], None], died: Callable[[], None]
    ) -> None:
        """Until ``close``, call ``news`` when there may be a job to take.

        And ``lost`` when one that was taken may have been taken away, ``died`` when a
        process of this machine has ended that may have had some.
        """
        self._peers.subscribe(ENDED, partial(_passed_on, died))
        calls = {NEWS: news, LOST: lost}
        for word, heard in calls.items():
            self._peers.subscribe(word, partial(_passed_on, heard))

        def told(word: str) -> None:
            for heard in [calls[word]] if word in calls else calls.values():
                heard()

        self._listener = asyncio.create_task(self._listen(told), name="job news")

    async def _listen(self, told: Callable[[str], None]) -> None:
        """Hear of other machines; when the line breaks, some may have been missed."""
        while True:
            with suppress(StoreError):
                await self.store.listen(CHANNEL, told)
            await self.clock.sleep(self.store.policy.rest_s)
            told("")

    async def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener

    async def submit(self, asked: JobRequest, run: RunRecord) -> JobRecord:
        """Keep a job and wake a worker; ``run`` is the line of the run it will be.

        A request whose key is known gives the job that has it. Raises ``InvalidInput``.
        A worker of this process that sleeps for want of jobs has it from the start.
        """
        check_request(asked)
        job = new_job(asked, run.run_id, self.clock.now())
        is_plain = job.key is None and job.due_s <= job.created_s
        if is_plain and self._idle is not None and self._idle.reserve():
            handing = asyncio.create_task(self._hand_over(self._idle, job, run))
            self._handing.add(handing)
            handing.add_done_callback(self._handing.discard)
            return await asyncio.shield(handing)  # who leaves now leaves a job that is kept
        if job.key is not None:
            return await self._change(partial(table.submit_once, job=job, run=run))
        await self.store.do(KEEP, kept_values(job, run))
        self._peers.ring(NEWS)
        return job

    async def _hand_over(self, worker: IdleWorker, job: JobRecord, run: RunRecord) -> JobRecord:
        taken = None
        started = table.started(job, self.worker, job.created_s)
        lease = {"now_s": job.created_s, "lasts_s": worker.lease_s}
        try:
            await self.store.do(KEEP_TAKEN, kept_values(started, run) | lease)
            taken = started
        finally:
            worker.receive(taken)
        return taken

    def offer(self, worker: IdleWorker | None) -> None:
        """Let a worker of this process have what is submitted while it sleeps; ``None`` ends it."""
        self._idle = worker

    async def handed(self) -> None:
        """Wait until the worker has what is on its way to it."""
        await asyncio.gather(*self._handing, return_exceptions=True)

    async def take(self, limits: TakeLimits) -> list[JobRecord]:
        """Take the jobs whose turn it is."""
        now_s, worker = self.clock.now(), self.worker
        if limits.per_app:
            work = partial(table.take_within, worker=worker, limits=limits, now_s=now_s)
            return await self.store.write(work)
        values = {"at_most": limits.jobs, "lasts_s": limits.lease_s, "taker": worker}
        return table.in_turn(await self.store.do(TAKE, {**values, "now_s": now_s, "due_s": now_s}))

    async def next_due_s(self) -> float | None:
        """Return when the next job is due that is not yet."""
        work = partial(NEXT_DUE.run, values={"due_s": self.clock.now()})
        (found,) = await self.store.read(work)
        due_s: float | None = found["next_due_s"]
        return due_s

    async def beat(self, job_ids: Sequence[str], lease_s: float) -> dict[str, int]:
        """Hold on to jobs; return the attempt of each that is still this worker's."""
        return await self.store.write(
            partial(table.beat, worker=self.worker, job_ids=job_ids, lease_s=lease_s)
        )

    async def attempt(self, job: JobRecord) -> tuple[JobSink, JobSteps]:
        """Return where the attempt at a job that was taken keeps what it makes."""
        sink = JobSink(self.store, job, partial(self._told, job.run_id), self.clock)
        return sink, await JobSteps.load(self.store, sink, job)

    async def give_up(self, job: JobRecord, error: dict[str, str]) -> None:
        """End a job that was taken and cannot be run. Raises ``RunLost``."""
        await self._change(partial(table.give_up, job=job, error=error, now_s=self.clock.now()))

    async def release(self) -> int:
        """Give back all that this worker has; return how many jobs."""
        return await self._change(partial(table.release, worker=self.worker))

    async def bury(self, worker: str) -> int:
        """Take back what a process that is gone had; return how many jobs."""
        return await self._change(partial(table.bury, worker=worker, now_s=self.clock.now()))

    async def look(self) -> Look:
        """Take back what was not held on to in time; return what there is to do."""
        now_s = self.clock.now()
        found = await self.store.read(partial(table.look, now_s=now_s))
        if found.is_lease_over:
            await self.store.write(partial(table.expire, now_s=now_s))
        return found

    async def cancel(self, job_id: str, caller: Caller) -> JobRecord:
        """Cancel a job, unless it is over; what its worker still makes is void."""
        await self.find(job_id, caller)
        work = partial(table.cancel, job_id=job_id, now_s=self.clock.now())
        return await self._change(work, LOST)

    async def retry(self, job_id: str, run_id: str, caller: Caller) -> JobRecord:
        """Queue a dead or cancelled job again, as the run ``run_id``. Raises ``InvalidInput``."""
        await self.find(job_id, caller)
        now_s = self.clock.now()
        return await self._change(partial(table.retry, job_id=job_id, run_id=run_id, now_s=now_s))

    async def find(self, job_id: str, caller: Caller) -> JobRecord:
        """Return a job's line. Raises ``NotFound`` too when ``caller`` may not see it."""
        return await self._one(jobs.c.job_id == job_id, caller, f"no job {job_id!r}")

    async def find_run(self, run_id: str, caller: Caller) -> JobRecord:
        """Return the job whose run it is. Raises ``NotFound``."""
        return await self._one(jobs.c.run_id == run_id, caller, f"run {run_id!r} is no job's")

    async def any(self, job_id: str) -> JobRecord:
        """Return a job's line, whoever's it is. Raises ``NotFound``."""
        return await self._found(jobs.c.job_id == job_id, f"no job {job_id!r}")

    async def list(self, which: JobFilter) -> list[JobRecord]:
        """Return the jobs that match, newest first; the caller is part of the filter."""
        return await self.store.read(partial(table.listing, which=which))

    async def count(self) -> dict[str, int]:
        """Return how many jobs there are in each state that has any."""
        return await self.store.read(table.count)

    async def spent_usd(self, since_s: float) -> float:
        """Return what jobs that no caller asked for have cost since then."""
        return await self.store.read(partial(table.spent_usd, since_s=since_s))

    async def erase(self, tenant: str, user: str) -> int:
        """Delete the jobs of one person, those under way too; return how many."""
        return await self._change(partial(table.erase, tenant=tenant, user=user), LOST)

    async def _one(self, which: ColumnElement[bool], caller: Caller, message: str) -> JobRecord:
        job = await self._found(which, message)
        if not caller.may_see(job.tenant, job.user):
            raise NotFound(message)
        return job

    async def _found(self, which: ColumnElement[bool], message: str) -> JobRecord:
        try:
            return await self.store.read(partial(table.one, which=which))
        except NotFound:
            raise NotFound(message) from None

    async def _change(self, work: Callable[[Connection], T], word: str = NEWS) -> T:
        """Make a change and tell whoever may have something to do now."""
        value = await self.store.write(work)
        self._peers.ring(word)
        return value


def _passed_on(heard: Callable[[], None], _told: str) -> None:
    heard()
