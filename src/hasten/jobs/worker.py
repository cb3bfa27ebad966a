"""The worker: takes jobs as they come, runs so many at once, holds on to them, and stops well.

Owns ``JobWorker``. It sleeps until it is woken, by news, by the time a job is due, or by
the end of one; a look every ``LOOK_S`` makes up for news that never came, as when a
process dies between keeping a job and telling of it. Leaves what a job does to
``perform``, which ``wire_jobs`` gives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hasten.errors import HastenError, RunCancelled, RunLost, StoreError
from hasten.jobs.table import TakeLimits
from hasten.trace.recorder import describe

if TYPE_CHECKING:
    from hasten.jobs.job import JobRecord, JobStatus
    from hasten.jobs.queue import JobQueue
    from hasten.jobs.sink import JobSink, JobSteps

_log = logging.getLogger(__name__)

AT_ONCE_S = 0.1
"""A job that is taken so soon was taken immediately, as people see it."""

TOLD_FROM_S = 0.0005
"""A shorter wait is told as none."""

LOOK_S = 5.0
"""How often a worker that hears nothing looks whether there is something."""

RETRY_S = 1.0
"""A store that fails is asked again after so long."""

PAST_S = 0.02
"""A lease is looked at so long after its end, when it is over by any clock's grain."""

BEATS = 3
"""A lease is renewed so often in its time."""

Told = Literal["started", "ended", "given back"]

Perform = Callable[["JobRecord", "JobSink", "JobSteps"], Awaitable[None]]
"""Does a job, to the event that settles it; cancelled, it leaves nothing running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPolicy:
    """``concurrency`` jobs at once here, ``per_app`` of one application over all workers (0: any).

    A worker of another machine that is silent for ``lease_s`` has lost what it had.
    """

    concurrency: int = 8
    per_app: int = 0
    lease_s: float = 15.0


class JobWorker:
    """Runs jobs from ``start`` to ``drain``. ``listeners`` are told how each begins and ends.

    ``chores`` are done at each look.
    """

    def __init__(
        self,
        queue: JobQueue,
        perform: Perform,
        policy: WorkerPolicy | None = None,
        chores: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.queue = queue
        self.policy = policy or WorkerPolicy()
        self.listeners: list[Callable[[Told, JobRecord], None]] = []
        self._perform = perform
        self._chores = chores
        self._under_way: dict[str, tuple[JobRecord, asyncio.Task[None]]] = {}
        self._sinks: dict[str, JobSink] = {}
        self._news, self._lost = asyncio.Event(), asyncio.Event()
        self._died, self._has_begun = asyncio.Event(), asyncio.Event()
        self._is_draining = False
        self._is_asleep = False
        self._reserved = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def _room(self) -> int:
        return self.policy.concurrency - len(self._under_way) - self._reserved

    @property
    def lease_s(self) -> float:
        """For how long it gets a job at once."""
        return self.policy.lease_s

    def reserve(self) -> bool:
        """Keep room for one job, if nothing waits and the limits are its own; whether it does."""
        is_free = self._is_asleep and not self._news.is_set() and not self._is_draining
        if not is_free or self.policy.per_app or self._room <= 0:
            return False
        self._reserved += 1
        return True

    def receive(self, job: JobRecord | None) -> None:
        """Begin the job there was room kept for; ``None`` when it came to nothing."""
        self._reserved -= 1
        if job is not None:
            self._begin(job)
        else:
            self._news.set()

    def start(self) -> None:
        """Take jobs from now on."""
        self.queue.offer(self)
        self.queue.listen(self._news.set, self._lost.set, self._died.set)
        self._tasks = [
            asyncio.create_task(self._take_on(), name="job worker"),
            asyncio.create_task(self._hold_on(), name="job leases"),
            asyncio.create_task(self._look_around(), name="job look"),
        ]

    async def drain(self, within_s: float) -> None:
        """Take no more, let jobs end within this time, and give back those that did not."""
        self._is_draining = True
        self.queue.offer(None)
        await self.queue.handed()
        for task in self._tasks[:1]:
            task.cancel()
        tasks = [task for _, task in self._under_way.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        await self._give_back()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.queue.close()

    async def _give_back(self) -> None:
        """Let others have what is left at once, then end it here: in this order."""
        left = list(self._under_way.values())
        with suppress(StoreError):
            await self.queue.release()
        for job, task in left:
            if job.job_id in self._sinks:
                self._sinks[job.job_id].abandon()
            self._tell("given back", job)
            task.cancel()
        await asyncio.gather(*(task for _, task in left), return_exceptions=True)

    async def _take_on(self) -> None:
        """Take what there is, sleep until there may be more, and so on."""
        while True:
            self._news.clear()
            try:
                next_due_s = await self._fill()
                await self._sleep(next_due_s)
            except Exception as error:  # noqa: BLE001 - a worker that ends is missed by nobody
                _warn("no jobs are taken", error)
                await self.queue.clock.sleep(RETRY_S)

    async def _fill(self) -> float | None:
        """Take as many jobs as there is room for; return when the next is due, if there is room."""
        policy = self.policy
        while (room := self._room) > 0:
            limits = TakeLimits(jobs=room, lease_s=policy.lease_s, per_app=policy.per_app)
            taken = await self.queue.take(limits)
            for job in taken:
                self._begin(job)
            if len(taken) < room:
                return await self.queue.next_due_s()
        return None

    async def _sleep(self, next_due_s: float | None) -> None:
        """Wait for news, or until a job is due."""
        wait_s = None
        if next_due_s is not None:
            wait_s = max(0.0, next_due_s - self.queue.clock.now())
        self._is_asleep = not self._news.is_set()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)
        finally:
            self._is_asleep = False

    async def _look_around(self) -> None:
        """Look at first, when a process died, when a lease ends and now and then, however busy.

        Others wait for what the dead had.
        """
        while True:
            try:
                wait_s = await self._look()
            except Exception as error:  # noqa: BLE001 - as above
                _warn("nothing is looked for", error)
                wait_s = RETRY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._died.wait(), wait_s)
            self._died.clear()

    async def _look(self) -> float:
        """Look once; return in how many seconds to look again."""
        if self._chores is not None:
            await self._chores()
        seen = await self.queue.look()
        if seen.has_work:
            self._news.set()
        left_s = LOOK_S if seen.lease_left_s is None else max(seen.lease_left_s, 0.0) + PAST_S
        return min(left_s, self._look_every_s)

    @property
    def _look_every_s(self) -> float:
        return min(LOOK_S, self.policy.lease_s)  # so that no lease begins and ends unseen

    def _begin(self, job: JobRecord) -> None:
        task = asyncio.create_task(self._work(job), name=job.job_id)
        self._under_way[job.job_id] = job, task
        self._has_begun.set()
        _log.info("[EVENT] Task %s received %s", job.run_id, _after(job.waited_s))
        self._tell("started", job)

    async def _work(self, job: JobRecord) -> None:
        ending: JobStatus | None = None
        try:
            ending = await self._attempt(job)
        except StoreError as error:  # the lease will bring it back
            _log.warning("job %s: %s", job.job_id, error)
        except (RunLost, RunCancelled) as error:  # another's, or to be given back
            _log.info("job %s ends here: %s", job.job_id, error)
        except Exception as error:  # noqa: BLE001 - else it would begin again and again
            is_known = isinstance(error, HastenError)
            _log.error("job %s cannot be run: %s", job.job_id, error, exc_info=not is_known)
            with suppress(StoreError, RunLost):
                await self.queue.give_up(job, describe(error))
        finally:
            if self._room <= 0 or self.policy.per_app or ending in (None, "queued"):
                self._news.set()  # else whatever may wait has been told of
            del self._under_way[job.job_id]
        self._tell("ended", job)

    async def _attempt(self, job: JobRecord) -> JobStatus | None:
        sink, steps = await self.queue.attempt(job)
        self._sinks[job.job_id] = sink
        try:
            await self._perform(job, sink, steps)
        finally:
            del self._sinks[job.job_id]
        return sink.ending

    async def _hold_on(self) -> None:
        """Renew the leases of what is under way, and let go of what is not ours any more."""
        while True:
            if not self._under_way:
                self._has_begun.clear()
                await self._has_begun.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self.policy.lease_s / BEATS)
            self._lost.clear()
            mine = dict(self._under_way)
            if not mine:
                continue
            try:
                held = await self.queue.beat(list(mine), self.policy.lease_s)
            except Exception as error:  # noqa: BLE001 - as above
                _warn("leases are not renewed", error)
                continue
            for job_id, (job, task) in mine.items():
                sink = self._sinks.get(job_id)
                is_over = sink is not None and sink.ending is not None
                if held.get(job_id) != job.attempt and not is_over:
                    task.cancel()

    def _tell(self, told: Told, job: JobRecord) -> None:
        for listener in self.listeners:
            listener(told, job)


def _warn(what: str, error: Exception) -> None:
    """Tell of a dependency's failure in a line, of a fault of ours with its traceback."""
    is_known = isinstance(error, HastenError)
    level = logging.WARNING if is_known else logging.ERROR
    _log.log(level, "%s: %s", what, error, exc_info=None if is_known else error)


def _after(waited_s: float | None) -> str:
    """Return in the fortune plan's words how soon a job was taken."""
    waited_s = waited_s or 0.0
    when = "immediately" if waited_s < AT_ONCE_S else "late"
    return f"{when} ({waited_s:.3g}s delay)" if waited_s >= TOLD_FROM_S else f"{when} (0s delay)"
