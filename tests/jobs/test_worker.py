"""A worker that sleeps has what is submitted in its process at once; none is lost on the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hasten.jobs.queue import JobQueue
from hasten.jobs.table import settle
from hasten.jobs.worker import JobWorker, WorkerPolicy
from hasten.store.peers import ENDED, Peers
from hasten.store.sql import open_sql
from hasten.store.sql.schema import jobs
from hasten.testing.queue_contract import submitted
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from hasten.jobs.job import JobRecord


class CountingQueue(JobQueue):
    """Counts how often jobs are taken and looked for."""

    takes = 0
    looks = 0

    async def take(self, limits: Any) -> Any:
        """Take, and count it."""
        self.takes += 1
        self.fail()
        return await super().take(limits)

    async def look(self) -> Any:
        """Look, and count it."""
        self.looks += 1
        self.fail()
        return await super().look()

    faults = 0

    def fail(self) -> None:
        """Raise what no store raises, as often as ``faults`` says."""
        if self.faults:
            self.faults -= 1
            message = "a fault of ours"
            raise RuntimeError(message)


@asynccontextmanager
async def working(
    home: Path, **policy: Any
) -> AsyncIterator[tuple[CountingQueue, JobWorker, list[str], asyncio.Event]]:
    """Give a queue, a worker that sleeps, what it began in order, and what lets jobs end."""
    begun: list[str] = []
    may_end = asyncio.Event()
    store = await open_sql(f"sqlite:///{home}/jobs.db")
    peers = Peers(home / "peers")
    peers.open()
    queue = CountingQueue(store, peers)

    async def perform(job: JobRecord, sink: Any, _steps: Any) -> None:
        begun.append(job.run_id)
        await may_end.wait()
        await sink.write(lambda connection: settle(connection, job, "done", None, None, 1.0))
        sink.ending = "done"

    worker = JobWorker(queue, perform, WorkerPolicy(**policy))
    worker.start()
    await until(lambda: worker._is_asleep)
    try:
        yield queue, worker, begun, may_end
    finally:
        may_end.set()
        await worker.drain(5.0)
        peers.close()
        await store.close()


async def is_done(queue: JobQueue, jobs: int) -> bool:
    """Whether so many jobs are done, and there are no others."""
    return await queue.count() == {"done": jobs}


def test_who_sleeps_is_handed_what_comes(tmp_path: Path) -> None:
    """Up to its room, without taking it; what is more waits its turn, the highest first."""

    async def main() -> None:
        async with working(tmp_path, concurrency=2) as (queue, worker, begun, may_end):
            before = queue.takes
            first, second = await asyncio.gather(submitted(queue, "a"), submitted(queue, "b"))
            assert (first.status, second.status, queue.takes) == ("running", "running", before)
            low = await submitted(queue, "c", priority=-1)
            await submitted(queue, "d")
            assert (low.status, len(worker._under_way)) == ("queued", 2)
            may_end.set()
            await until(lambda: is_done(queue, 4))
            assert begun == ["a", "b", "d", "c"]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_who_is_busy_looks_for_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """News that comes all the time does not put off what a killed process left."""
    monkeypatch.setattr("hasten.jobs.worker.LOOK_S", 0.1)

    async def main() -> None:
        async with working(tmp_path) as (queue, _worker, _begun, may_end):
            may_end.set()
            job = await leave(queue, "dead", lease_s=1.0)

            numbers = count()

            async def is_found_amid_news() -> bool:
                await submitted(queue, f"r{next(numbers)}")
                return bool((await queue.any(job.job_id)).interruptions)

            await until(is_found_amid_news)

    asyncio.run(main())


def test_who_hears_of_a_death_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not when it would have looked anyway."""
    monkeypatch.setattr("hasten.jobs.worker.LOOK_S", 60.0)

    async def main() -> None:
        async with working(tmp_path) as (queue, worker, begun, may_end):
            may_end.set()
            await leave(queue, "dead", lease_s=1.0)
            worker.queue._peers.ring(ENDED, "gone")
            await until(lambda: is_done(queue, 1))
            assert begun == ["dead"]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_lease_is_over_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever saw it looks again at its end, and no sooner."""
    monkeypatch.setattr("hasten.jobs.worker.LOOK_S", 60.0)

    async def main() -> None:
        async with working(tmp_path) as (queue, worker, begun, may_end):
            may_end.set()
            ends_s = queue.clock.now() + 0.5
            await leave(queue, "frozen", lease_s=ends_s)
            looks = queue.looks
            worker.queue._peers.ring(ENDED, "somebody else")
            await until(lambda: is_done(queue, 1))
            assert ends_s < queue.clock.now() < ends_s + 1.0
            assert (begun, queue.looks) == (["frozen"], looks + 2)

    asyncio.run(asyncio.wait_for(main(), 20))


async def leave(queue: JobQueue, run_id: str, lease_s: float) -> JobRecord:
    """Leave a job as a process does that died or froze with it."""
    job = await submitted(queue, run_id, due_s=2e9)
    left = {"status": "running", "worker": "gone", "lease_s": lease_s, "due_s": 1.0}
    this = sa.update(jobs).where(jobs.c.job_id == job.job_id)
    await queue.store.write(lambda connection: connection.execute(this.values(left)))
    return job


def test_who_has_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    """A worker asks its store nothing while nothing happens, not even after a job."""

    async def main() -> None:
        async with working(tmp_path) as (queue, _worker, _begun, may_end):
            may_end.set()
            await submitted(queue, "r1")
            await until(lambda: is_done(queue, 1))
            before = (queue.takes, queue.looks)
            await asyncio.sleep(0.5)  # nothing happens, for a time
            assert (queue.takes, queue.looks) == before

    asyncio.run(asyncio.wait_for(main(), 20))


def test_what_has_a_limit_or_a_time_is_taken_in_turn(tmp_path: Path) -> None:
    """A limit counts over all workers, so only the database knows whose turn it is."""

    async def main() -> None:
        async with working(tmp_path, per_app=1) as (queue, _worker, _begun, may_end):
            may_end.set()
            assert (await submitted(queue, "a")).status == "queued"
            assert (await submitted(queue, "b", key="k")).status == "queued"
            await until(lambda: is_done(queue, 2))

    asyncio.run(asyncio.wait_for(main(), 20))


def test_who_leaves_leaves_a_job(tmp_path: Path) -> None:
    """A submission that is cancelled under way is done once, and a drain waits for it."""

    async def main() -> None:
        async with working(tmp_path, concurrency=8) as (queue, worker, begun, may_end):
            may_end.set()
            tasks = [asyncio.create_task(submitted(queue, f"r{number}")) for number in range(8)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await worker.drain(5.0)
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            assert sorted(begun) == [f"r{number}" for number in range(8)]
            assert await is_done(queue, 8)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_fault_of_ours_ends_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes, and looks, again after a moment: nobody would miss one that ended."""
    monkeypatch.setattr("hasten.jobs.worker.RETRY_S", 0.01)
    monkeypatch.setattr("hasten.jobs.worker.LOOK_S", 60.0)

    async def main() -> None:
        async with working(tmp_path) as (queue, worker, begun, may_end):
            may_end.set()
            looks, queue.faults = queue.looks, 1
            worker._died.set()
            await until(lambda: queue.looks > looks + 1)
            takes, queue.faults = queue.takes, 1
            worker._news.set()
            await until(lambda: queue.takes > takes + 1)
            await submitted(queue, "a")
            await until(lambda: bool(begun))
            assert begun == ["a"]

    asyncio.run(asyncio.wait_for(main(), 20))
