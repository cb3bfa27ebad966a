"""The durable sink: runs, events and spans in SQLite or PostgreSQL.

Owns what is asked of one run and of their listing; leaves keeping and dropping whole runs to
``run_table``, the tables to ``schema`` and the database to a ``SqlStore``. ``wire`` makes
one, ``trace/log`` writes to it, ``serve``, ``cli`` and ``plan`` read it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, func, literal_column, select, update

from hasten.errors import NotFound
from hasten.store.sql.batch import fetch, insert_new
from hasten.store.sql.run_table import RunRows, RunTable
from hasten.store.sql.schema import events, jobs, runs, spans
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.log import tells_duration
from hasten.trace.recorder import INTERRUPTED
from hasten.trace.span import ROOT_SPAN_ID, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from hasten.store.sql.base import SqlStore
    from hasten.trace.event import RunStatus
    from hasten.trace.log import RunFilter

_OPEN_JOBS = select(jobs.c.run_id).where(jobs.c.status.in_(("queued", "running")))
"""The runs of jobs that are not over."""

_SPAN_COLUMNS = [column for column in spans.c if column.name != "run_id"]

_PLAIN_FILTERS = ("tenant", "user", "app", "mode", "status", "clock", "speed", "simulated")


class SqlSink(RunTable):
    """A ``Sink`` on a database: see ``hasten.trace.log.Sink`` for what each method promises.

    ``told`` is called with the id of a run once something new of it is there to read.
    """

    def __init__(self, store: SqlStore, told: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(store)
        self._told = told

    async def save(
        self, run: RunRecord, events_: Sequence[RunEvent] = (), spans_: Sequence[Span] = ()
    ) -> None:
        """Insert or replace the run's own line, with events and spans, in one transaction."""
        await self._store.write_words(RunRows.of([run], events_, {run.run_id: spans_}).keep)
        self._told(run.run_id)

    async def append(self, events_: Sequence[RunEvent]) -> None:
        """Keep numbered events of one run, all of them or none; known ones are passed over."""
        await self._store.write_words(RunRows.of([], events_).keep)
        if events_:
            self._told(events_[0].run_id)

    async def run(self, run_id: str) -> RunRecord:
        """Return a run's own line. Raises ``NotFound``."""
        found = await self._rows(select(runs).where(runs.c.run_id == run_id))
        if not found:
            message = f"no run {run_id!r}"
            raise NotFound(message)
        return RunRecord(**found[0])

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """Return the runs that match, newest first."""
        return [RunRecord(**row) for row in await self._rows(_listing(which, select(runs)))]

    async def events(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return a run's events numbered above ``after``, in order."""
        query = select(events).where(events.c.run_id == run_id, events.c.seq > after)
        return [RunEvent(**row) for row in await self._rows(query.order_by(events.c.seq))]

    async def spans(self, run_id: str) -> list[Span]:
        """Return a run's spans in the order they were opened."""
        query = select(*_SPAN_COLUMNS).where(spans.c.run_id == run_id).order_by(spans.c.span_id)
        return [Span(**row) for row in await self._rows(query)]

    async def step_durations(self, which: RunFilter) -> dict[str, list[float]]:
        """Return how many seconds each step and tool took, by its name, newest run first."""
        complete = msgspec.structs.replace(which, status="complete")
        is_computed = (runs.c.llm_calls > 0) | (runs.c.cache_hits == 0)
        told = select(runs.c.run_id, runs.c.started_s).where(is_computed)
        listed = _listing(complete, told).subquery()
        query = (
            select(*_SPAN_COLUMNS)
            .join(listed, listed.c.run_id == spans.c.run_id)
            .where(spans.c.parent_id == ROOT_SPAN_ID, spans.c.status == "ok")
            .order_by(listed.c.started_s.desc(), listed.c.run_id.desc(), spans.c.span_id)
        )
        found: dict[str, list[float]] = {}
        for span in filter(tells_duration, [Span(**row) for row in await self._rows(query)]):
            found.setdefault(span.name, []).append(span.duration_s)
        return found

    async def end_runs_of(self, worker: str, now_s: float) -> int:
        """Mark the runs of a process that is gone as failed; return how many they were.

        Those of jobs are left: others take them up.
        """
        return await self._store.write(partial(_end_runs_of, worker=worker, now_s=now_s))

    async def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        return await self._store.read(partial(fetch, query=query))


def end_run(
    connection: Connection,
    run_id: str,
    status: RunStatus,
    error: Mapping[str, str],
    now_s: float,
) -> None:
    """End a run from outside, as its own process would: its line, and its last event."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().first()
    if row is None:
        return
    ended_s = max(now_s, row["started_s"])
    ended = {"status": status, "ended_s": ended_s, "error": dict(error)}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(ended))
    last = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.run_id == run_id)
    data = {
        "status": status,
        "degraded_by": row["degraded_by"],
        "error": dict(error),
        "reuse": row["reuse"],
        "duration_ms": (ended_s - row["started_s"]) * 1e3,
    }
    seq = connection.execute(last).scalar_one() + 1
    event = RunEvent(run_id, "run.finished", ended_s, ROOT_SPAN_ID, data, seq)
    insert_new(connection, events, [msgspec.structs.asdict(event)])


def _end_runs_of(connection: Connection, worker: str, now_s: float) -> int:
    theirs = (runs.c.worker == worker) & (runs.c.status == literal_column("'running'"))
    query = select(runs.c.run_id).where(theirs, runs.c.run_id.not_in(_OPEN_JOBS))
    found = connection.execute(query).scalars().all()
    for run_id in found:
        end_run(connection, run_id, "failed", INTERRUPTED, now_s)
    return len(found)


def _listing(which: RunFilter, query: Select[Any]) -> Select[Any]:
    """Return ``query`` on the runs of a filter, newest first."""
    for name in _PLAIN_FILTERS:
        if (value := getattr(which, name)) is not None:
            query = query.where(runs.c[name] == value)
    if which.since_s is not None:
        query = query.where(runs.c.started_s >= which.since_s)
    if which.before_s is not None:
        query = query.where(runs.c.started_s < which.before_s)
    return query.order_by(runs.c.started_s.desc(), runs.c.run_id.desc()).limit(which.limit)
