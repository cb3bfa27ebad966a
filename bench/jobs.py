"""Jobs: from submission to start, and jobs a second, beside the queues of others.

A job does nothing. Ours is the queue and worker the server uses, on a real SQLite file
or a real PostgreSQL; a pick-up lasts from the call that submits to the first line of the
job. Durable means that the job survives a killed process by the time it starts. Who else
is measured is in ``queues``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from bench.harness import OURS, Case
from bench.queues import POSTGRES, REDIS, SQLITE, contestants
from hasten.jobs.queue import JobQueue
from hasten.jobs.table import settle
from hasten.jobs.worker import JobWorker, WorkerPolicy
from hasten.store.peers import Peers
from hasten.store.sql import SqlPolicy, open_sql
from hasten.testing.postgres import run_postgres
from hasten.testing.queue_contract import submitted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hasten.jobs.job import JobRecord

TITLE = "Jobs: from submission to start, throughput, idleness"

PICK_UPS = 300
JOBS = 3_000
IDLE_S = 5.0

WAITING_WORKER = """
import asyncio, sys
from bench.jobs import tell_starts
asyncio.run(tell_starts(sys.argv[1], sys.argv[2]))
"""


IDLE_WORKER = """
from bench.jobs import idle_percent
print(idle_percent())
"""


def cases() -> list[Case]:
    """Return what is measured."""
    found = []
    embedded = (SQLITE, REDIS)
    peers = {"asyncio.Queue": contestants.bare_queue(), **contestants.pick_ups("here", embedded)}
    for name, at, goal in (("p50", 0.5, 0.3), ("p99", 0.99, 2.0)):
        runners = {OURS: partial(_here_ms, at), **contestants.at(at, peers)}
        found.append(Case(f"pick-up, same process, {name}", "ms", runners, goal=goal))
    peers = contestants.pick_ups("there", embedded)
    for name, at, goal in (("p50", 0.5, 1.5), ("p99", 0.99, 5.0)):
        runners = {OURS: partial(_there_ms, at), **contestants.at(at, peers)}
        found.append(Case(f"pick-up, other process, {name}", "ms", runners, goal=goal))
    peers = contestants.pick_ups("here", (POSTGRES,))
    for name, at in (("p50", 0.5), ("p99", 0.99)):
        runners = {OURS: partial(_postgres_ms, at), **contestants.at(at, peers)}
        found.append(Case(f"pick-up, PostgreSQL, {name}", "ms", runners, bare="pgqueuer"))
    kept = {OURS: partial(_each_us, is_synced=False), **contestants.each_us(embedded)}
    found.append(Case("a job, surviving a killed process", "µs", kept, goal=1e6 / 3_000))
    synced = {OURS: partial(_each_us, is_synced=True), **contestants.synced_us()}
    found.append(Case("a job, surviving power loss", "µs", synced, goal=1e6 / 1_000))
    each = {OURS: _postgres_us, **contestants.each_us((POSTGRES,))}
    found.append(Case("a job, PostgreSQL", "µs", each, bare="pgqueuer"))
    idle = {OURS: _idle_percent, **contestants.idle_percent()}
    found.append(Case("an idle worker", "% of a core", idle, goal=0.05))
    return found


async def _done(job: JobRecord, sink: Any) -> None:
    now_s = perf_counter()
    await sink.write(
        lambda connection: settle(connection, job, "done", None, None, now_s),
    )
    sink.ending = "done"


@asynccontextmanager
async def _working(
    url: str, folder: str, begun: Callable[[JobRecord], None], *, is_synced: bool = False
) -> AsyncIterator[JobQueue]:
    """Give a queue with a worker behind it."""
    store = await open_sql(url, SqlPolicy(survives_power_loss=is_synced))
    peers = Peers(Path(folder) / "peers")
    peers.open()
    queue = JobQueue(store, peers)

    async def perform(job: JobRecord, sink: Any, _steps: Any) -> None:
        begun(job)
        await _done(job, sink)

    worker = JobWorker(queue, perform, WorkerPolicy(concurrency=64))
    worker.start()
    try:
        yield queue
    finally:
        await worker.drain(1.0)
        peers.close()
        await store.close()


async def _pick_ups(url: str, folder: str) -> list[float]:
    """Return the milliseconds of each pick-up in this process."""
    began, news = 0.0, asyncio.Event()
    took_ms: list[float] = []

    def begun(_job: JobRecord) -> None:
        took_ms.append((perf_counter() - began) * 1e3)
        news.set()

    async with _working(url, folder, begun) as queue:
        for number in range(PICK_UPS):
            news.clear()
            began = perf_counter()
            await submitted(queue, f"r{number}")
            await news.wait()
            await asyncio.sleep(0.002)
    return took_ms


def _here_ms(at: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return contestants.quantile(
            asyncio.run(_pick_ups(f"sqlite:///{folder}/jobs.db", folder)), at
        )


def _postgres_ms(at: float) -> float:
    with tempfile.TemporaryDirectory() as folder, run_postgres() as server:
        return contestants.quantile(asyncio.run(_pick_ups(server.new_database(), folder)), at)


async def tell_starts(url: str, folder: str) -> None:
    """Work for ever, and print when each job began; the other process's main function."""

    def begun(job: JobRecord) -> None:
        print(job.run_id, perf_counter(), flush=True)

    async with _working(url, folder, begun):
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


def _there_ms(at: float) -> float:
    """Submit here, start in another process; both read the machine's one monotonic clock."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/jobs.db"
        command = [sys.executable, "-c", WAITING_WORKER, url, folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
            try:
                return contestants.quantile(asyncio.run(_submit_there(process, url, folder)), at)
            finally:
                process.kill()


async def _submit_there(process: Any, url: str, folder: str) -> list[float]:
    await asyncio.to_thread(process.stdout.readline)
    store = await open_sql(url)
    peers = Peers(Path(folder) / "peers")
    peers.open()
    queue, took_ms = JobQueue(store, peers), []
    for number in range(PICK_UPS):
        began = perf_counter()
        await submitted(queue, f"r{number}")
        line = await asyncio.to_thread(process.stdout.readline)
        took_ms.append((float(line.split()[1]) - began) * 1e3)
        await asyncio.sleep(0.002)
    peers.close()
    await store.close()
    return took_ms


def _each_us(*, is_synced: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_many_us(f"sqlite:///{folder}/jobs.db", folder, is_synced=is_synced))


def _postgres_us() -> float:
    with tempfile.TemporaryDirectory() as folder, run_postgres() as server:
        return asyncio.run(_many_us(server.new_database(), folder))


async def _many_us(url: str, folder: str, *, is_synced: bool = False) -> float:
    """Return the microseconds of a job when many are submitted at once and done."""
    left, over = JOBS, asyncio.Event()

    def begun(_job: JobRecord) -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    async with _working(url, folder, begun, is_synced=is_synced) as queue:
        began = perf_counter()
        await asyncio.gather(*(submitted(queue, f"r{number}") for number in range(JOBS)))
        await over.wait()
        return (perf_counter() - began) / JOBS * 1e6


def _idle_percent() -> float:
    """Measure a process of its own: this one draws its progress meanwhile."""
    command = [sys.executable, "-c", IDLE_WORKER]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own program


def idle_percent() -> float:
    """Return what a worker with nothing to do takes of a core; the process's main function."""

    async def main(folder: str) -> float:
        async with _working(f"sqlite:///{folder}/jobs.db", folder, lambda _job: None):
            await asyncio.sleep(0.5)
            began = process_time()
            await asyncio.sleep(IDLE_S)
            return (process_time() - began) / IDLE_S * 100

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(main(folder))
