"""What an attempt at a job makes: its run and its steps, as long as it has the job.

Owns ``JobSink`` and ``JobSteps``. Every write holds the job first, so a worker that
was frozen past its lease can publish nothing, and the end of a run and of its job are
one transaction: no result is shown twice, and none that is shown is made again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from hasten.clock import Clock
from hasten.codec import decode, encode
from hasten.errors import CodecError, RunLost, StoreError, StoreUnavailable
from hasten.graph.attempt import Settled
from hasten.jobs.job import JobStatus
from hasten.jobs.table import hold, settle
from hasten.store.sql.batch import upsert
from hasten.store.sql.run_table import RunRows
from hasten.store.sql.schema import job_steps
from hasten.store.sql.sink import SqlSink
from hasten.store.sql.words import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from hasten.graph.step import Step
    from hasten.jobs.job import JobRecord
    from hasten.store.sql import SqlStore
    from hasten.store.sql.words import Row
    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.span import Span

_log = logging.getLogger(__name__)

AGAIN_S = 0.5
"""A store that is unavailable is asked again after this time: what a job tells must be kept."""

_ENDS: dict[str, JobStatus] = {
    "complete": "done",
    "degraded": "done",
    "failed": "dead",
    "cancelled": "cancelled",
}


class JobSink(SqlSink):
    """The sink of one attempt. Writes raise ``RunLost`` once another has the job.

    Each goes on until it is kept: nothing of a job is told that is not. ``abandon()``
    ends that. ``kept`` is called when there are new events. ``ending`` is what became of the
    job with this attempt, once that is kept: ``queued`` when there will be another.
    """

    def __init__(
        self,
        store: SqlStore,
        job: JobRecord,
        kept: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(store)
        self.ending: JobStatus | None = None
        self._job = job
        self._kept = kept
        self._clock = clock or Clock()
        self._run: RunRecord | None = None
        self._is_abandoned = False

    def abandon(self) -> None:
        """Keep nothing more, not even what waits for the store to come back."""
        self._is_abandoned = True

    async def save(
        self, run: RunRecord, events_: Sequence[RunEvent] = (), spans_: Sequence[Span] = ()
    ) -> None:
        """Keep the run's line, with events and spans; when all is settled, the spans alone."""
        self._run = run
        if self.ending is not None:
            rows = RunRows.of([], (), {run.run_id: spans_})
            await self._until_kept(lambda connection: rows.keep(words_of(connection)))
        else:
            await self._keep(RunRows.of([run], events_, {run.run_id: spans_}), events_)

    async def append(self, events_: Sequence[RunEvent]) -> None:
        """Keep events; with the last one goes the end of the attempt, and the run's line."""
        line = [self._run] if self._run is not None and _End.of(events_) is not None else []
        await self._keep(RunRows.of(line, events_), events_)

    async def _keep(self, rows: RunRows, events_: Sequence[RunEvent]) -> None:
        """Keep rows, and settle the job if the last of the events ends the attempt."""
        end, now_s = _End.of(events_), self._clock.now()

        def work(connection: Connection) -> None:
            rows.keep(words_of(connection))
            if end is not None:
                due_s = None if end.again_s is None else now_s + end.again_s
                settle(connection, self._job, end.status, end.error, due_s, now_s)

        await self.write(work)
        if end is not None:
            self.ending = end.status
        if events_:
            self._kept()

    async def write(self, work: Callable[[Connection], None]) -> None:
        """Do ``work`` in one transaction while the job is this attempt's. Raises ``RunLost``."""

        def held(connection: Connection) -> None:
            hold(connection, self._job)
            work(connection)

        await self._until_kept(held)

    async def _until_kept(self, work: Callable[[Connection], None]) -> None:
        while True:
            if self._is_abandoned:
                message = f"job {self._job.job_id} was given back"
                raise RunLost(message)
            try:
                await self._store.write(work)
            except StoreUnavailable as error:
                _log.warning("job %s waits for its store: %s", self._job.job_id, error)
                await self._clock.sleep(AGAIN_S)
            else:
                return


class _End(msgspec.Struct, frozen=True):
    """How an attempt ended, as its last event says."""

    status: JobStatus
    error: dict[str, str] | None
    again_s: float | None = None

    @classmethod
    def of(cls, events_: Sequence[RunEvent]) -> _End | None:
        """Return what the last of the events ends, if it ends anything."""
        if not events_:
            return None
        event, data = events_[-1], events_[-1].data
        if event.type == "run.finished":
            return cls(_ENDS[data["status"]], data["error"])
        if event.type == "run.interrupted" and data["again_s"] is not None:
            return cls("queued", data["error"], data["again_s"])
        return None


class JobSteps:
    """The finished steps of one job: those of earlier attempts, and this one's as they end."""

    def __init__(self, sink: JobSink, job: JobRecord, found: dict[tuple[str, int], Row]) -> None:
        self._sink = sink
        self._job = job
        self._found = found

    @classmethod
    async def load(cls, store: SqlStore, sink: JobSink, job: JobRecord) -> JobSteps:
        """Read what earlier attempts did, if there were any."""
        if job.attempt == 1:
            return cls(sink, job, {})
        query = select(job_steps).where(job_steps.c.job_id == job.job_id)

        def work(connection: Connection) -> dict[tuple[str, int], Row]:
            rows = connection.execute(query).mappings()
            return {(row["step"], row["version"]): dict(row) for row in rows}

        return cls(sink, job, await store.read(work))

    def find(self, step: Step[..., Any]) -> Settled | None:
        """Return what ``step``, in its version of now, came to in an earlier attempt."""
        row = self._found.get((step.name, step.policy.version))
        if row is None:
            return None
        try:
            return Settled(row["result"], decode(row["value"], step.returns))
        except CodecError as error:
            _log.warning("step %r of job %s runs again: %s", step.name, self._job.job_id, error)
            return None

    async def keep(self, step: Step[..., Any], settled: Settled) -> None:
        """Keep a value for attempts to come; one that cannot be kept is made again."""
        if settled.result == "none":
            return
        try:
            value = encode(settled.value)
        except CodecError as error:
            _log.info("step %r of job %s is not kept: %s", step.name, self._job.job_id, error)
            return
        row = {
            "job_id": self._job.job_id,
            "step": step.name,
            "version": step.policy.version,
            "result": settled.result,
            "value": value,
        }
        try:
            await self._sink.write(partial(upsert, table=job_steps, rows=[row]))
        except (StoreError, RunLost) as error:
            _log.debug("step %r of job %s is not kept: %s", row["step"], row["job_id"], error)
