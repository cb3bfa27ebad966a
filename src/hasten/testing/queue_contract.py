"""What a queue of jobs promises on every database, as checks that run on any of them.

Owns the promises of ``hasten.jobs.queue.JobQueue`` in executable form. Each clause takes
two workers' queues on one empty database and raises ``AssertionError`` when they break
their word.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.caller import Caller
from hasten.errors import HastenError, InvalidInput, NotFound, RunLost
from hasten.jobs.job import INTERRUPTIONS, JobFilter, JobRequest
from hasten.jobs.table import TakeLimits
from hasten.store.sql.sink import SqlSink
from hasten.testing.sink_contract import STRANGE, run_record
from hasten.trace.event import RunEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hasten.jobs.job import JobRecord
    from hasten.jobs.queue import JobQueue

    Clause = Callable[[JobQueue, JobQueue], Coroutine[Any, Any, None]]

ANN, BEN, EVE = Caller("acme", "ann"), Caller("acme", "ben"), Caller("evil", "ann", "admin")

LONG_S, OVER_S = 60.0, -1.0
"""A lease that lasts, and one that is over as soon as it is given."""


def job_request(**changes: Any) -> JobRequest:
    """Return a plain request; ``changes`` are its fields."""
    fields: dict[str, Any] = {"app": "toy", "inputs": {"topic": "tea"}, "caller": ANN}
    return JobRequest(**{**fields, **changes})


async def submitted(queue: JobQueue, run_id: str, **changes: Any) -> JobRecord:
    """Submit a job whose run has this id."""
    asked = job_request(**changes)
    who = {"tenant": asked.caller.tenant, "user": asked.caller.user, "app": asked.app}
    run = run_record(run_id, status="queued", ended_s=None, **who)
    return await queue.submit(asked, run)


async def taken(queue: JobQueue, jobs: int = 100, lease_s: float = LONG_S, **limits: Any) -> Any:
    """Take jobs."""
    return await queue.take(TakeLimits(jobs=jobs, lease_s=lease_s, **limits))


async def ended(queue: JobQueue, job: JobRecord, status: str = "complete") -> None:
    """End an attempt at a job as a run does: its line, its last event."""
    sink, _ = await queue.attempt(job)
    await sink.save(run_record(job.run_id, status=status, outputs={"by": job.attempt}))
    await sink.append([finished(job, status)])


def finished(job: JobRecord, status: str, seq: int = 1) -> RunEvent:
    """Return the last event of a run."""
    data: dict[str, Any] = {
        "status": status,
        "degraded_by": [],
        "error": None,
        "reuse": {},
        "duration_ms": 1.0,
    }
    return RunEvent(job.run_id, "run.finished", 1_001.0, 1, data, seq)


async def refused(what: Coroutine[Any, Any, Any], kind: type[HastenError]) -> HastenError:
    """Await what must be refused, and return how."""
    try:
        await what
    except kind as error:
        return error
    message = f"nothing was raised, {kind.__name__} was wanted"
    raise AssertionError(message)


async def keeps_what_is_asked(queue: JobQueue, other: JobQueue) -> None:
    """A job comes back as it was submitted, to every process, with its run's line."""
    inputs = {"summary": STRANGE, "deep": [{"a": [None, True, 1.5]}], "n": 2**53}
    job = await submitted(queue, "r1", inputs=inputs, priority=3, attempts=7, key="a key, 漢字")
    assert await other.find(job.job_id, ANN) == job
    assert await other.find_run("r1", ANN) == job
    assert (job.status, job.attempt, job.run_id) == ("queued", 0, "r1")
    assert (await SqlSink(queue.store).run("r1")).status == "queued"
    assert await other.count() == {"queued": 1}


async def gives_each_its_turn(queue: JobQueue, _other: JobQueue) -> None:
    """The highest priority first, then the first come."""
    for run_id, priority in (("r1", 0), ("r2", 5), ("r3", 0), ("r4", -10), ("r5", 5)):
        await submitted(queue, run_id, priority=priority)
    turns = [job.run_id for _ in range(5) for job in await taken(queue, jobs=1)]
    assert turns == ["r2", "r5", "r1", "r3", "r4"]
    assert await taken(queue) == []


async def waits_until_a_job_is_due(queue: JobQueue, _other: JobQueue) -> None:
    """What is due later is not given, but said."""
    due_s = queue.clock.now() + LONG_S
    await submitted(queue, "r1", due_s=due_s)
    assert await taken(queue) == []
    assert await queue.next_due_s() == due_s
    assert not (await queue.look()).has_work


async def gives_a_job_to_one(queue: JobQueue, other: JobQueue) -> None:
    """Two workers that take at once get every job between them, none twice."""
    await asyncio.gather(*(submitted(queue, f"r{number}") for number in range(40)))
    rounds = await asyncio.gather(*(taken(one, jobs=7) for _ in range(4) for one in (queue, other)))
    found = [job.job_id for jobs in rounds for job in jobs]
    assert len(found) == len(set(found)) == 40  # noqa: PLR2004 - as many as were submitted


async def limits_an_application(queue: JobQueue, other: JobQueue) -> None:
    """No more jobs of one application at once than allowed, over all workers; others pass it."""
    for number in range(4):
        await submitted(queue, f"r{number}")
    await submitted(queue, "r9", app="other", priority=-1)
    first = await taken(queue, per_app=2)
    assert [job.run_id for job in first] == ["r0", "r1", "r9"]
    assert await taken(other, per_app=2) == []
    await ended(queue, first[0])
    assert [job.run_id for job in await taken(other, per_app=2)] == ["r2"]


async def attaches_by_key(queue: JobQueue, other: JobQueue) -> None:
    """The same person's same key is the same job; what else is asked with it is refused."""
    jobs = await asyncio.gather(
        *(submitted(one, f"r{n}{one.worker}", key="k") for n in range(5) for one in (queue, other))
    )
    (job_id,) = {job.job_id for job in jobs}
    assert (await submitted(queue, "b", key="k", caller=BEN)).job_id != job_id
    assert (await submitted(queue, "e", key="k", caller=EVE)).job_id != job_id
    error = await refused(submitted(queue, "x", key="k", inputs={"topic": "coffee"}), InvalidInput)
    assert getattr(error, "field", "") == "key"
    assert len(await queue.list(JobFilter())) == 3  # noqa: PLR2004 - one for each person
    (job,) = [one for one in await taken(other) if one.job_id == job_id]
    await ended(other, job)
    assert (await submitted(queue, "again", key="k")).status == "done"


async def refuses_who_has_lost_it(queue: JobQueue, other: JobQueue) -> None:
    """A worker past its lease publishes nothing once another has the job, however late it comes."""
    await submitted(queue, "r1")
    (old,) = await taken(queue, lease_s=OVER_S)
    old_sink, _ = await queue.attempt(old)
    assert (await other.look()).is_lease_over
    (new,) = await taken(other)
    assert (new.job_id, new.attempt, new.interruptions) == (old.job_id, 2, 1)
    await refused(old_sink.append([finished(old, "complete")]), RunLost)
    await refused(old_sink.save(run_record("r1", outputs={"by": 1})), RunLost)
    assert await queue.beat([old.job_id], LONG_S) == {}
    await ended(other, new)
    await refused(old_sink.append([finished(old, "complete", 2)]), RunLost)
    await refused(queue.give_up(old, {"code": "late", "message": "late"}), RunLost)
    sink = SqlSink(queue.store)
    assert (await sink.run("r1")).outputs == {"by": 2}
    assert [event.type for event in await sink.events("r1")] == ["run.finished"]
    assert (await queue.find(old.job_id, ANN)).status == "done"


async def holds_on_to_what_beats(queue: JobQueue, other: JobQueue) -> None:
    """A lease that is renewed is never over, however long the job takes."""
    await submitted(queue, "r1")
    (job,) = await taken(queue, lease_s=OVER_S)
    assert await queue.beat([job.job_id], LONG_S) == {job.job_id: 1}
    assert not (await other.look()).has_work
    assert await taken(other) == []
    assert await other.beat([job.job_id], LONG_S) == {}


async def ends_a_job_with_its_run(queue: JobQueue, _other: JobQueue) -> None:
    """A run's end is its job's end: complete and degraded are done, failed is dead."""
    ends = {"complete": "done", "degraded": "done", "failed": "dead", "cancelled": "cancelled"}
    for status in ends:
        await submitted(queue, status)
    for job in await taken(queue):
        await ended(queue, job, job.run_id)
    found = {job.run_id: job.status for job in await queue.list(JobFilter())}
    assert found == ends
    assert await queue.count() == {"done": 2, "dead": 1, "cancelled": 1}


async def tries_again_later(queue: JobQueue, other: JobQueue) -> None:
    """An attempt that is to be followed by another leaves the job queued until then."""
    await submitted(queue, "r1")
    (job,) = await taken(queue)
    sink, _ = await queue.attempt(job)
    error = {"code": "down", "message": "down"}
    await sink.save(run_record("r1", status="queued", ended_s=None))
    data = {"error": error, "again_s": LONG_S}
    await sink.append([RunEvent("r1", "run.interrupted", 1_000.0, 1, data, 1)])
    later = await other.find(job.job_id, ANN)
    assert (later.status, later.failures, later.error) == ("queued", 1, error)
    assert later.due_s > other.clock.now() + LONG_S / 2
    await refused(sink.append([finished(job, "complete", 2)]), RunLost)


async def cancels(queue: JobQueue, other: JobQueue) -> None:
    """A job is cancelled whether it waits or runs, its run with it, and no worker undoes that."""
    await submitted(queue, "r1")
    (running,) = await taken(queue)
    waiting = await submitted(queue, "r2")
    sink, _ = await queue.attempt(running)
    for job in (running, waiting):
        assert (await other.cancel(job.job_id, ANN)).status == "cancelled"
        assert (await other.cancel(job.job_id, ANN)).status == "cancelled"
        assert (await SqlSink(queue.store).run(job.run_id)).status == "cancelled"
        (event,) = await SqlSink(queue.store).events(job.run_id)
        assert event.data["status"] == "cancelled"
    await refused(sink.append([finished(running, "complete", 2)]), RunLost)
    assert await taken(queue) == []
    await refused(other.cancel(waiting.job_id, BEN), NotFound)


async def retries_the_dead(queue: JobQueue, other: JobQueue) -> None:
    """A dead job is queued again as a new run, and nothing else is."""
    await submitted(queue, "r1")
    (job,) = await taken(queue)
    await refused(queue.retry(job.job_id, "r2", ANN), InvalidInput)
    await ended(queue, job, "failed")
    again = await other.retry(job.job_id, "r2", ANN)
    assert (again.status, again.run_id, again.failures) == ("queued", "r2", 0)
    assert (await SqlSink(queue.store).run("r1")).status == "failed"
    (job,) = await taken(other)
    await ended(other, job)
    await refused(queue.retry(job.job_id, "r3", ANN), InvalidInput)
    await refused(queue.retry(job.job_id, "r3", EVE), NotFound)


async def gives_back(queue: JobQueue, other: JobQueue) -> None:
    """What a stopping worker releases others have at once, and it counts as no failure."""
    await submitted(queue, "r1")
    await taken(queue)
    assert (await queue.release(), await queue.release()) == (1, 0)
    (job,) = await taken(other)
    assert (job.attempt, job.failures, job.interruptions) == (2, 0, 0)


async def takes_from_the_dead(queue: JobQueue, other: JobQueue) -> None:
    """What a killed worker had is taken back; a job that outlives too many of them is dead."""
    await submitted(queue, "r1")
    for _ in range(INTERRUPTIONS):
        (job,) = await taken(queue)
        assert await other.bury(queue.worker) == 1
    last = await other.find(job.job_id, ANN)
    assert (last.status, last.interruptions) == ("dead", INTERRUPTIONS)
    assert last.error is not None
    assert (await SqlSink(queue.store).run("r1")).status == "failed"


async def shows_nobody_elses(queue: JobQueue, other: JobQueue) -> None:
    """A person sees their own, an admin their tenant's, and no tenant another's."""
    mine = await submitted(queue, "r1")
    await submitted(queue, "r2", caller=BEN)
    theirs = await submitted(queue, "r3", caller=EVE)
    await refused(other.find(theirs.job_id, ANN), NotFound)
    await refused(other.find_run("r3", ANN), NotFound)
    await refused(other.find(mine.job_id, EVE), NotFound)
    listed = await other.list(JobFilter(tenant="acme"))
    assert [job.run_id for job in listed] == ["r2", "r1"]
    assert await other.list(JobFilter(tenant="acme", user="ann", status="dead")) == []
    assert await other.list(JobFilter(tenant="acme", user="ann", app="toy")) == [mine]


async def erases_a_person(queue: JobQueue, other: JobQueue) -> None:
    """Nothing is left of one person's jobs, and another's are left alone."""
    await submitted(queue, "r1")
    (job,) = await taken(queue)
    kept = await submitted(queue, "r2", caller=BEN)
    sink, _ = await queue.attempt(job)
    assert await other.erase("acme", "ann") == 1
    assert await other.list(JobFilter()) == [kept]
    await refused(sink.append([finished(job, "complete")]), RunLost)


async def keeps_a_line_as_it_changes(queue: JobQueue, other: JobQueue) -> None:
    """What ``take`` returns is what others read, but for the lease, which is the database's."""
    await submitted(queue, "r1")
    (job,) = await taken(queue)
    read = await other.find(job.job_id, ANN)
    assert read.lease_s is not None
    changes = {"lease_s": None, "started_s": None}
    assert msgspec.structs.replace(read, **changes) == msgspec.structs.replace(job, **changes)


CLAUSES: tuple[Clause, ...] = (
    keeps_what_is_asked,
    gives_each_its_turn,
    waits_until_a_job_is_due,
    gives_a_job_to_one,
    limits_an_application,
    attaches_by_key,
    refuses_who_has_lost_it,
    holds_on_to_what_beats,
    ends_a_job_with_its_run,
    tries_again_later,
    cancels,
    retries_the_dead,
    gives_back,
    takes_from_the_dead,
    shows_nobody_elses,
    erases_a_person,
    keeps_a_line_as_it_changes,
)
