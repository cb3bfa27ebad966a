"""Jobs on a runtime: from a request to a job, and from a job to its run.

Owns ``RuntimeJobs``. Leaves keeping and taking jobs to ``jobs`` and executing runs to
``wire``. ``serve`` and ``cli`` sit on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hasten.app import pick_app
from hasten.clock import current_clock
from hasten.errors import BudgetSpent
from hasten.graph.durable import RunAttempt
from hasten.graph.outcome import new_run_id
from hasten.jobs.job import ATTEMPTS, NORMAL, JobOrigin, JobRecord, JobRequest, again_s
from hasten.jobs.worker import JobWorker, WorkerPolicy
from hasten.trace.event import RunRecord
from hasten.wire_cron import RuntimeCron

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.caller import Caller
    from hasten.errors import HastenError
    from hasten.jobs.sink import JobSink, JobSteps
    from hasten.wire import Runtime


DAY_S = 86_400.0


class RuntimeJobs:
    """The jobs of a runtime: ``submit`` them anywhere, do them where ``work`` was called."""

    def __init__(self, runtime: Runtime) -> None:
        self.queue = runtime.queue
        self.worker: JobWorker | None = None
        self.cron = RuntimeCron(runtime, self.submit)
        self._runtime = runtime
        self._draining: asyncio.Task[None] | None = None

    async def submit(  # noqa: PLR0913 - a request's whole form
        self,
        app_name: str,
        inputs: Mapping[str, Any],
        caller: Caller,
        *,
        mode: str | None = None,
        speed: float | None = None,
        priority: int = NORMAL,
        due_s: float = 0.0,
        attempts: int = ATTEMPTS,
        key: str | None = None,
        origin: JobOrigin = "api",
    ) -> (
        JobRecord
    ):  # waiver: eight keywords are what a job may be asked for with; all have defaults
        """Keep a job, to start at once or at ``due_s`` (seconds since the epoch).

        Raises ``NotFound`` for the app, ``InvalidInput`` for whatever else is wrong.
        """
        app = pick_app(self._runtime.apps, app_name)
        graph = app.graph(mode)
        plain = graph.parse(inputs).model_dump(mode="json")
        clock, now_s = self._runtime.settings.clock(speed), self.queue.clock.now()
        asked = JobRequest(
            app=app.name,
            inputs=plain,
            caller=caller,
            mode=mode or app.default_mode,
            speed=clock.speed,
            priority=priority,
            due_s=due_s,
            attempts=attempts,
            key=key,
            origin=origin,
        )
        run = RunRecord(
            run_id=new_run_id(current_clock()),
            app=app.name,
            graph=graph.name,
            mode=asked.mode,
            tenant=caller.tenant,
            user=caller.user,
            clock=clock.kind,
            speed=clock.speed,
            simulated=self._runtime.settings.is_simulated,
            started_s=now_s,
            status="queued",
            inputs=plain,
        )
        return await self.queue.submit(asked, run)

    async def retry(self, job_id: str, caller: Caller) -> JobRecord:
        """Queue a dead or cancelled job again, as a new run. Raises ``InvalidInput``."""
        return await self.queue.retry(job_id, new_run_id(current_clock()), caller)

    def work(self) -> JobWorker:
        """Do jobs in this process from now on, until ``drain``."""
        settings = self._runtime.settings
        policy = WorkerPolicy(
            concurrency=settings.job_concurrency,
            per_app=settings.jobs_per_app,
            lease_s=settings.job_lease_s,
        )
        self.worker = JobWorker(self.queue, self._perform, policy, self._runtime.bury)
        self.worker.start()
        self.cron.start()
        return self.worker

    def stop(self) -> None:
        """Begin to drain."""
        if self.worker is not None and self._draining is None:
            drain = self.worker.drain(self._runtime.settings.drain_s)
            self._draining = asyncio.create_task(drain, name="drain jobs")

    async def drain(self) -> None:
        """Let jobs end for a while, give back the rest."""
        await self.cron.close()
        self.stop()
        if self._draining is not None:
            await self._draining

    async def _perform(self, job: JobRecord, sink: JobSink, steps: JobSteps) -> None:
        """Execute one attempt at a job's run, to its end."""
        if job.origin != "api":
            await self._check_budget()
        app = pick_app(self._runtime.apps, job.app)
        inputs = app.graph(job.mode).parse(job.inputs)
        options = await self._runtime.options(
            app, mode=job.mode, caller=job.caller, speed=job.speed
        )
        earlier = await sink.events(job.run_id) if job.attempt > 1 else []
        again = partial(_again_s, job)
        attempt = RunAttempt(steps=steps, earlier=earlier, again_s=again)
        run = self._runtime.launch(
            app, inputs, replace(options, run_id=job.run_id, sink=sink, attempt=attempt)
        )
        try:
            await run.outcome()
        except asyncio.CancelledError:
            run.cancel()
            await run.outcome()
            raise

    async def _check_budget(self) -> None:
        """Raise ``BudgetSpent`` when a day's jobs that nobody asked for have cost enough."""
        settings = self._runtime.settings
        if settings.is_simulated:
            return
        spent_usd = await self.queue.spent_usd(self.queue.clock.now() - DAY_S)
        if spent_usd >= settings.warm_usd_a_day:
            message = (
                f"cron and changed data have cost ${spent_usd:.2f} in a day, and may cost "
                f"${settings.warm_usd_a_day:g} (warm_usd_a_day)"
            )
            raise BudgetSpent(message)


def _again_s(job: JobRecord, error: HastenError) -> float | None:
    return again_s(error, job.failures + 1, job.attempts)
