"""The runs of a database as every process keeps and drops them, in words.

Owns the rows of runs, events and spans, keeping whole runs, and dropping them with all that
belongs to them. Leaves reading them, and what becomes of one run, to ``sink``. The gateway
has nothing more.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.store.sql.words import Row, RowForm, listed
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.store.sql.base import SqlStore
    from hasten.store.sql.words import SqlWords

DROP_RUNS = 50
"""Whole runs are dropped so many to a transaction, and other work goes in between."""

RUNS = RowForm(
    "runs",
    RunRecord.__struct_fields__,
    ("run_id",),
    json=frozenset({"inputs", "outputs", "degraded_by", "error", "reuse"}),
    flags=frozenset({"simulated"}),
)
EVENTS = RowForm("events", RunEvent.__struct_fields__, ("run_id", "seq"), json=frozenset({"data"}))
SPANS = RowForm(
    "spans",
    ("run_id", *Span.__struct_fields__),
    ("run_id", "span_id"),
    json=frozenset({"attributes"}),
)

_OF_OPEN_JOBS = "SELECT run_id FROM jobs WHERE status IN ('queued', 'running')"


class RunRows(msgspec.Struct, frozen=True):
    """What is to be kept of runs, as rows: their lines, their events, their spans."""

    lines: list[Row]
    events: list[Row]
    spans: list[Row]

    @classmethod
    def of(
        cls,
        runs_: Sequence[RunRecord],
        events_: Sequence[RunEvent] = (),
        spans_: Mapping[str, Sequence[Span]] | None = None,
    ) -> RunRows:
        """Return the rows of runs, events, and spans by the run they are of."""
        return cls(
            list(map(msgspec.structs.asdict, runs_)),
            list(map(msgspec.structs.asdict, events_)),
            [
                {"run_id": run_id, **msgspec.structs.asdict(span)}
                for run_id, found in (spans_ or {}).items()
                for span in found
            ],
        )

    def keep(self, on: SqlWords) -> None:
        """Put them into their tables; an event that is there already is passed over."""
        on.upsert(RUNS, self.lines)
        on.insert_new(EVENTS, self.events)
        on.upsert(SPANS, self.spans)


class RunTable:
    """Keeps runs that have ended, and drops old ones. Raises what the ``SqlStore`` raises."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def save_ended(self, ended: Sequence[tuple[RunRecord, Sequence[Span]]]) -> None:
        """Keep many runs that have ended, with their spans, in one transaction."""
        lines = [run for run, _ in ended]
        found = {run.run_id: spans_ for run, spans_ in ended}
        await self._store.write_words(RunRows.of(lines, (), found).keep)

    async def prune(self, *, before_s: float) -> int:
        """Drop whole runs that ended before ``before_s``; return how many.

        A run without an end counts from its start, unless it is an open job's.
        """
        is_old = "started_s < :before_s AND coalesce(ended_s, started_s) < :before_s"
        which = f"{is_old} AND run_id NOT IN ({_OF_OPEN_JOBS})"
        dropped = await self._drop_all(which, before_s=before_s)
        await self._store.reclaim()
        return dropped

    async def erase(self, tenant: str, user: str) -> int:
        """Delete every run of one person, with its events and spans; return how many runs.

        On SQLite nothing of them stays readable in the file or its log.
        """
        which = 'tenant = :tenant AND "user" = :user'
        erased = await self._drop_all(which, tenant=tenant, user=user)
        await self._store.scrub()
        return erased

    async def held_bytes(self) -> int:
        """Return how many bytes all rows take."""
        return await self._store.held_bytes()

    async def prune_to_bytes(self, at_most_bytes: int) -> int:
        """Drop the oldest runs until all rows take no more than this; return how many runs."""
        dropped = 0
        while (held_bytes := await self._store.held_bytes()) > at_most_bytes:
            kept = await self._store.read_words(_count)
            surplus = math.ceil(kept * (1 - at_most_bytes / held_bytes))
            oldest = partial(_drop, at_most=min(surplus, DROP_RUNS))
            some = await self._store.write_words(oldest)
            if some == 0:
                break
            dropped += some
        await self._store.reclaim()
        return dropped

    async def _drop_all(self, which: str, **values: Any) -> int:
        dropped = 0
        while some := await self._store.write_words(partial(_drop, which=which, **values)):
            dropped += some
        return dropped


def _count(on: SqlWords) -> int:
    return int(on.value("SELECT count(*) AS kept FROM runs"))


def _drop(on: SqlWords, which: str = "", at_most: int = DROP_RUNS, **values: Any) -> int:
    """Delete the oldest runs of these with all that belongs to them; return how many."""
    where = f"WHERE {which}" if which else ""
    query = f"SELECT run_id FROM runs {where} ORDER BY started_s, run_id LIMIT {at_most}"
    names, ids = listed([one["run_id"] for one in on.rows(query, **values)])
    if not ids:
        return 0
    theirs = f"SELECT job_id FROM jobs WHERE run_id IN ({names})"
    on.change(f"DELETE FROM job_steps WHERE job_id IN ({theirs})", **ids)
    for table in ("events", "spans", "feedback", "jobs", "runs"):
        on.change(f"DELETE FROM {table} WHERE run_id IN ({names})", **ids)
    return len(ids)
