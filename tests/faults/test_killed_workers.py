"""Workers killed in mid-job, again and again: no job is lost, no result is shown twice."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hasten.caller import LOCAL
from hasten.jobs.job import JobFilter
from hasten.jobs.sink import JobSink
from hasten.jobs.table import TakeLimits
from hasten.settings import Settings
from hasten.store.sql.schema import events
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs
from tests.toy import toy_app
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hasten.trace.event import RunRecord

IN_FLIGHT = 50
RESUMED_WITHIN_S = 2.0

WORKER = """
import asyncio, sys
from pathlib import Path
from hasten.settings import Settings
from hasten.wire import Runtime
from hasten.wire_jobs import RuntimeJobs
from tests.toy import toy_app

async def main(home):
    runtime = await Runtime.open(
        Settings(home=home, job_concurrency=60, retention_days=9), {"toy": toy_app()}
    )
    RuntimeJobs(runtime).work()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


class Workers:
    """Two worker processes, one of which is killed and replaced at a time."""

    def __init__(self, home: Path) -> None:
        self._command = [sys.executable, "-c", WORKER, str(home)]
        self.processes = [self._start() for _ in range(2)]

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process

    def wait_ready(self) -> None:
        """Wait until both take jobs."""
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def kill(self, number: int) -> str:
        """Kill one as the power would, start another; return the killed one's process id."""
        old = self.processes[number]
        old.send_signal(signal.SIGKILL)
        old.communicate()
        self.processes[number] = new = self._start()
        assert new.stdout is not None
        return str(old.pid)

    def close(self) -> None:
        """Kill both."""
        for process in self.processes:
            process.kill()
            process.communicate()


async def kill_in_mid_job(home: Path, kills: int, seed: int) -> dict[str, Any]:
    """Keep ``IN_FLIGHT`` jobs under way, kill workers at random moments, return what was seen."""
    draw, slowest_s = random.Random(seed), 0.0
    submitted: list[str] = []
    settings = Settings(home=home, retention_days=9)
    runtime = await Runtime.open(settings, {"toy": toy_app()})
    jobs, workers = RuntimeJobs(runtime), Workers(home)
    least = IN_FLIGHT * 9
    try:
        await asyncio.to_thread(workers.wait_ready)
        for _ in range(kills):
            least = min(least, await at_least_in_flight(jobs, runtime, submitted))
            await asyncio.sleep(draw.random() * 1.5)  # any moment of a job
            holders = Counter(job.worker for job in await running_jobs(runtime))
            pids = [str(process.pid) for process in workers.processes]
            (most, _), *_ = holders.most_common(1)
            killed_pid = most.split(".")[2]
            killed = workers.kill(pids.index(killed_pid))
            began_s = time.monotonic()
            await until(partial(has_nothing, runtime, killed))
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            line = await asyncio.to_thread(workers.processes[pids.index(killed)].stdout.readline)
            assert line == "ready\n"
        ended = await all_over(runtime, submitted)
        return {
            "submitted": len(submitted),
            "done": Counter(job.status for job in ended),
            "interruptions": sum(job.interruptions for job in ended),
            "endings": await endings(runtime, [job.run_id for job in ended]),
            "least_in_flight": least,
            "slowest_s": slowest_s,
        }
    finally:
        workers.close()
        await runtime.close()


async def running_jobs(runtime: Runtime) -> list[Any]:
    """Return the jobs under way."""
    return await runtime.queue.list(JobFilter(status="running", limit=1000))


async def at_least_in_flight(jobs: RuntimeJobs, runtime: Runtime, submitted: list[str]) -> int:
    """Submit jobs until ``IN_FLIGHT`` are under way at once; return how many are."""
    counts: list[int] = []

    async def is_enough() -> bool:
        there = await runtime.queue.count()
        for _ in range(IN_FLIGHT + 20 - there.get("queued", 0) - there.get("running", 0)):
            inputs = {"topic": "tea", "note": f"cup {len(submitted)}"}  # or it is a rerun
            job = await jobs.submit("toy", inputs, LOCAL, speed=2.0)
            submitted.append(job.job_id)
        counts.append(there.get("running", 0))
        return counts[-1] >= IN_FLIGHT

    await until(is_enough)
    return counts[-1]


async def has_nothing(runtime: Runtime, pid: str) -> bool:
    """Whether no job is a killed process's any more."""
    return all(job.worker.split(".")[2] != pid for job in await running_jobs(runtime))


async def all_over(runtime: Runtime, job_ids: Sequence[str]) -> list[Any]:
    """Wait until no job is open, and return all."""

    async def is_over() -> bool:
        return not {"queued", "running"} & set(await runtime.queue.count())

    await until(is_over)
    found = await runtime.queue.list(JobFilter(limit=len(job_ids) + 1))
    assert {job.job_id for job in found} == set(job_ids)
    return found


async def endings(runtime: Runtime, run_ids: Sequence[str]) -> Counter[int]:
    """Return how many runs have how many endings and outputs, each of which is shown once."""
    from sqlalchemy import func, select

    shown = events.c.type.in_(("run.finished", "output"))
    query = select(events.c.run_id, events.c.type, func.count()).where(shown)
    rows = await runtime.sql.read(
        lambda connection: connection.execute(
            query.group_by(events.c.run_id, events.c.type)
        ).fetchall()
    )
    assert {row[0] for row in rows} == set(run_ids)
    return Counter(row[2] for row in rows)


def check(seen: dict[str, Any], kills: int) -> None:
    """Nothing was lost, nothing shown twice, and others went on in time."""
    print(seen)  # noqa: T201 - the figures of the run
    assert seen["done"] == {"done": seen["submitted"]}
    assert seen["endings"] == {1: 2 * seen["submitted"]}
    assert seen["least_in_flight"] >= IN_FLIGHT
    assert seen["interruptions"] >= kills
    assert seen["slowest_s"] < RESUMED_WITHIN_S


def test_three_kills(tmp_path: Path) -> None:
    """Three workers killed with fifty jobs under way."""
    check(asyncio.run(kill_in_mid_job(tmp_path / "state", 3, seed=1)), 3)


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    """Two hundred, at moments drawn from a seed."""
    check(asyncio.run(kill_in_mid_job(tmp_path / "state", 200, seed=200)), 200)


def test_an_attempt_that_died_after_its_answer_was_kept(tmp_path: Path) -> None:
    """The next one ends the run without showing the answer again, from the cache or anew."""

    async def main() -> None:
        settings = Settings(home=tmp_path, speed=500.0)
        runtime = await Runtime.open(settings, {"toy": toy_app()})
        jobs = RuntimeJobs(runtime)
        job = await jobs.submit("toy", {"topic": "tea"}, LOCAL)
        await die_before_the_end(runtime)
        await runtime.queue.bury(runtime.queue.worker)
        jobs.work()
        (ended,) = await all_over(runtime, [job.job_id])
        shown = await endings(runtime, [job.run_id])
        run = await runtime.sink.run(job.run_id)
        await jobs.drain()
        await runtime.close()
        assert (ended.attempt, ended.interruptions, shown) == (2, 1, Counter({1: 2}))
        assert (run.status, run.reuse.get("cached")) == ("complete", None)

    asyncio.run(asyncio.wait_for(main(), 30))


async def die_before_the_end(runtime: Runtime) -> None:
    """Make an attempt whose process dies once its answer is in the cache, before it ends."""
    jobs = RuntimeJobs(runtime)
    (job,) = await runtime.queue.take(TakeLimits(jobs=1, lease_s=60))
    sink, steps = await runtime.queue.attempt(job)

    async def append_but_the_end(told: Sequence[Any]) -> None:
        left = [event for event in told if event.type != "run.finished"]
        if left:
            await JobSink.append(sink, left)
        if len(left) < len(told):
            sink.abandon()

    async def save_but_the_end(
        run: RunRecord, told: Sequence[Any] = (), spans: Sequence[Any] = ()
    ) -> None:
        if any(event.type == "run.finished" for event in told):
            await append_but_the_end(told)
        else:
            await JobSink.save(sink, run, told, spans)

    sink.append = append_but_the_end  # type: ignore[method-assign]
    sink.save = save_but_the_end  # type: ignore[method-assign]
    await jobs._perform(job, sink, steps)
