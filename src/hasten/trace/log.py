"""The log of runs: where events are appended, read and followed.

Owns the ``Sink`` interface, its in-memory form, and ``RunLog``, which carries
one live run's events from the recorder to a sink and to everybody who follows
it. Leaves durable storage to ``store/sql``. ``graph/run`` makes a ``RunLog``
for each run; ``serve`` and ``cli`` follow it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import msgspec

from hasten.errors import NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.recorder import Recorder
    from hasten.trace.span import Span

_log = logging.getLogger(__name__)


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list; ``None`` means any. Newest first, at most ``limit``."""

    tenant: str | None = None
    user: str | None = None
    app: str | None = None
    mode: str | None = None
    status: str | None = None
    clock: str | None = None
    speed: float | None = None
    simulated: bool | None = None
    since_s: float | None = None
    before_s: float | None = None
    limit: int = 100

    def matches(self, run: RunRecord) -> bool:
        """Whether ``run`` is one of these."""
        fixed = ("tenant", "user", "app", "mode", "status", "clock", "speed", "simulated")
        return (
            all(getattr(self, name) in (None, getattr(run, name)) for name in fixed)
            and (self.since_s is None or run.started_s >= self.since_s)
            and (self.before_s is None or run.started_s < self.before_s)
        )


class Sink(Protocol):
    """Keeps runs, their events and their spans. ``StoreUnavailable`` when it cannot.

    ``hasten.testing.sink_contract`` says the same in checks that every sink passes.
    """

    async def save_run(self, run: RunRecord) -> None:
        """Insert or replace the run's own line."""

    async def append(self, events: Sequence[RunEvent]) -> None:
        """Keep numbered events of one run; all of them or none.

        An event whose number is there already is passed over, so a batch may be sent again.
        """

    async def save_spans(self, run_id: str, spans: Sequence[Span]) -> None:
        """Keep the spans of a run that has ended."""

    async def run(self, run_id: str) -> RunRecord:
        """Return a run's own line. Raises ``NotFound``."""
        ...

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """Return the runs that match, newest first."""
        ...

    async def events(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return a run's events numbered above ``after``, in order."""
        ...

    async def spans(self, run_id: str) -> list[Span]:
        """Return a run's spans in the order they were opened."""
        ...

    async def step_durations(self, which: RunFilter) -> dict[str, list[float]]:
        """Return how many seconds each step took, by its name, newest run first.

        Counts the steps that ended well in the matching runs that are complete.
        """
        ...

    async def prune(self, *, before_s: float) -> int:
        """Drop whole runs that ended before ``before_s``; return how many.

        A run without an end counts from its start: its process died.
        """
        ...

    async def erase(self, tenant: str, user: str) -> int:
        """Delete every run of one person, with its events and spans; return how many runs."""
        ...


class MemorySink:
    """A sink in this process's memory, for tests, the library and virtual time."""

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._events: dict[str, dict[int, RunEvent]] = {}
        self._spans: dict[str, list[Span]] = {}

    async def save_run(self, run: RunRecord) -> None:
        """Insert or replace the run's own line."""
        self._runs[run.run_id] = msgspec.structs.replace(run)

    async def append(self, events: Sequence[RunEvent]) -> None:
        """Keep numbered events of one run; one that is there already is passed over."""
        for event in events:
            if event.seq is None:
                message = f"an event of run {event.run_id!r} has no number: {event.type}"
                raise StoreError(message, store="memory")
        for event in events:
            self._events.setdefault(event.run_id, {}).setdefault(event.seq or 0, event)

    async def save_spans(self, run_id: str, spans: Sequence[Span]) -> None:
        """Keep the spans of a run that has ended."""
        self._spans[run_id] = list(spans)

    async def run(self, run_id: str) -> RunRecord:
        """Return a run's own line. Raises ``NotFound``."""
        try:
            return self._runs[run_id]
        except KeyError:
            message = f"no run {run_id!r}"
            raise NotFound(message) from None

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """Return the runs that match, newest first."""
        found = [run for run in self._runs.values() if which.matches(run)]
        found.sort(key=lambda run: (run.started_s, run.run_id), reverse=True)
        return found[: which.limit]

    async def events(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return a run's events numbered above ``after``, in order."""
        kept = self._events.get(run_id, {})
        return [kept[seq] for seq in sorted(kept) if seq > after]

    async def spans(self, run_id: str) -> list[Span]:
        """Return a run's spans in the order they were opened."""
        return list(self._spans.get(run_id, ()))

    async def step_durations(self, which: RunFilter) -> dict[str, list[float]]:
        """Return how many seconds each step took, by its name, newest run first."""
        found: dict[str, list[float]] = {}
        for run in await self.runs(msgspec.structs.replace(which, status="complete")):
            for span in self._spans.get(run.run_id, ()):
                if span.kind == "step" and span.status == "ok":
                    found.setdefault(span.name, []).append(span.duration_s)
        return found

    async def prune(self, *, before_s: float) -> int:
        """Drop whole runs that ended before ``before_s``; return how many."""
        return self._drop(
            run
            for run in self._runs.values()
            if (run.started_s if run.ended_s is None else run.ended_s) < before_s
        )

    async def erase(self, tenant: str, user: str) -> int:
        """Delete every run of one person, with its events and spans; return how many runs."""
        return self._drop(
            run for run in self._runs.values() if run.tenant == tenant and run.user == user
        )

    def _drop(self, which: Iterable[RunRecord]) -> int:
        ids = [run.run_id for run in which]
        for run_id in ids:
            for kept in (self._runs, self._events, self._spans):
                kept.pop(run_id, None)
        return len(ids)


async def copy_run(source: Sink, target: Sink, run_id: str) -> None:
    """Copy one finished run, such as one of virtual time, into another sink.

    Its own line goes last, so a copy that breaks off is not listed. Raises
    ``NotFound`` when ``source`` has no such run, ``StoreError`` when ``target`` cannot keep it.
    """
    run = await source.run(run_id)
    await target.append(await source.events(run_id))
    await target.save_spans(run_id, await source.spans(run_id))
    await target.save_run(run)


class RunLog:
    """One live run's events on their way to the sink and to its followers.

    The recorder's events wait in memory; one task stores them in batches, and
    what is stored has its number and goes to the followers. A sink that fails
    never fails the run: the events stay readable here as long as the run is
    held, and ``is_stored`` says so.
    """

    def __init__(self, recorder: Recorder, sink: Sink) -> None:
        self.recorder = recorder
        self.is_stored = True
        self._sink = sink
        self._waiting: list[RunEvent] = []
        self._numbered: list[RunEvent] = []
        self._followers: set[asyncio.Event] = set()
        self._has_work = asyncio.Event()
        self._is_over = False
        recorder.listeners.append(self._take)
        self._writer = asyncio.create_task(self._write(), name=f"log {recorder.run.run_id}")

    def _take(self, event: RunEvent) -> None:
        self._waiting.append(event)
        self._has_work.set()

    async def _write(self) -> None:
        await self._try(self._sink.save_run(self.recorder.run))
        while not self._is_over or self._waiting:
            await self._has_work.wait()
            self._has_work.clear()
            await self._write_batch()

    async def _write_batch(self) -> None:
        first = len(self._numbered) + 1
        batch = [
            msgspec.structs.replace(event, seq=number)
            for number, event in enumerate(self._waiting, first)
        ]
        self._waiting = []
        if batch:
            await self._try(self._sink.append(batch))
            self._numbered.extend(batch)
            self._wake()

    async def close(self) -> None:
        """Store what is left, the spans and the run's last line, and let the followers end."""
        self._is_over = True
        self._has_work.set()
        await self._writer
        run = self.recorder.run
        await self._try(self._sink.save_spans(run.run_id, self.recorder.spans))
        await self._try(self._sink.save_run(run))
        self._wake()

    async def follow(self, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield the events numbered above ``after``: those that are there, then live, to the end."""
        news = asyncio.Event()
        self._followers.add(news)
        try:
            while True:
                while after < len(self._numbered):
                    yield self._numbered[after]
                    after += 1
                if self._writer.done():
                    return
                await news.wait()
                news.clear()
        finally:
            self._followers.discard(news)

    def _wake(self) -> None:
        for news in self._followers:
            news.set()

    async def _try(self, storing: object) -> None:
        try:
            await storing  # type: ignore[misc]
        except StoreError as error:
            self.is_stored = False
            _log.warning("run %s is not stored: %s", self.recorder.run.run_id, error)
