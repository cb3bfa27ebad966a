"""The log of runs: where events are appended, read and followed.

Owns the ``Sink`` interface, its in-memory form, and ``RunLog``, which carries
one live run's events from the recorder to a sink and to everybody who follows
it. Leaves durable storage to ``store/sql``. ``graph/run`` makes a ``RunLog``
for each run; ``serve`` and ``cli`` follow it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from hasten.codec import to_plain
from hasten.errors import CodecError, NotFound, RunLost, StoreError
from hasten.trace.event import RunRecord
from hasten.trace.span import ROOT_SPAN_ID, Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from hasten.trace.event import RunEvent
    from hasten.trace.recorder import Recorder

T = TypeVar("T")
_log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
"""A sink that was unavailable is not asked again for this long, so a frozen one slows no stream."""

GATHER_S = 0.001
"""Events that come so soon after others were stored are stored together.

It is the most that gathering adds to an event, of which a reader should hear within 2 ms.
"""


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

    async def save(
        self, run: RunRecord, events: Sequence[RunEvent] = (), spans: Sequence[Span] = ()
    ) -> None:
        """Insert or replace the run's own line, with events as ``append`` takes them.

        A run that has ended brings its spans, too. All of it is kept or nothing.
        """

    async def append(self, events: Sequence[RunEvent]) -> None:
        """Keep numbered events of one run; all of them or none.

        An event whose number is there already is passed over, so a batch may be sent again.
        """

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

        Counts the steps that ended well without the cache's help, in the matching runs that
        are complete and did not find in the cache all that a model would have been asked.
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
    """A sink in this process's memory, for tests, the library and virtual time.

    Runs and spans can change after they were saved, so it keeps and
    gives copies of them; events cannot, and are shared.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._events: dict[str, dict[int, RunEvent]] = {}
        self._spans: dict[str, list[Span]] = {}

    async def save(
        self, run: RunRecord, events: Sequence[RunEvent] = (), spans: Sequence[Span] = ()
    ) -> None:
        """Insert or replace the run's own line, with events and spans."""
        line, kept = _copy(run, RunRecord), _copy(spans, list[Span])
        self._put(events)
        self._runs[run.run_id] = line
        if kept:
            self._spans[run.run_id] = kept

    async def append(self, events: Sequence[RunEvent]) -> None:
        """Keep numbered events of one run; one that is there already is passed over."""
        self._put(events)

    def _put(self, events: Sequence[RunEvent]) -> None:
        for event in events:
            if event.seq is None:
                message = f"an event of run {event.run_id!r} has no number: {event.type}"
                raise StoreError(message, store="memory")
        for event in events:
            self._events.setdefault(event.run_id, {}).setdefault(event.seq or 0, event)

    async def run(self, run_id: str) -> RunRecord:
        """Return a run's own line. Raises ``NotFound``."""
        try:
            return _copy(self._runs[run_id], RunRecord)
        except KeyError:
            message = f"no run {run_id!r}"
            raise NotFound(message) from None

    async def runs(self, which: RunFilter) -> list[RunRecord]:
        """Return the runs that match, newest first."""
        found = [run for run in self._runs.values() if which.matches(run)]
        found.sort(key=lambda run: (run.started_s, run.run_id), reverse=True)
        return [_copy(run, RunRecord) for run in found[: which.limit]]

    async def events(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return a run's events numbered above ``after``, in order."""
        kept = self._events.get(run_id, {})
        return [kept[seq] for seq in sorted(kept) if seq > after]

    async def spans(self, run_id: str) -> list[Span]:
        """Return a run's spans in the order they were opened."""
        return _copy(self._spans.get(run_id, []), list[Span])

    async def step_durations(self, which: RunFilter) -> dict[str, list[float]]:
        """Return how many seconds each step and tool took, by its name, newest run first."""
        found: dict[str, list[float]] = {}
        whole = msgspec.structs.replace(which, status="complete", limit=len(self._runs))
        told = [run for run in await self.runs(whole) if run.llm_calls or not run.cache_hits]
        for run in told[: which.limit]:
            for span in filter(tells_duration, await self.spans(run.run_id)):
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
            del self._runs[run_id]
            self._events.pop(run_id, None)
            self._spans.pop(run_id, None)
        return len(ids)


def _copy(value: object, as_type: type[T]) -> T:
    """Return ``value`` as it would come back from a database; raises ``CodecError`` likewise."""
    return msgspec.convert(to_plain(value), as_type)


def tells_duration(span: Span) -> bool:
    """Whether it is a step's own that ended well and was computed: the cache's take no time."""
    is_own = span.parent_id == ROOT_SPAN_ID and span.status == "ok"
    return is_own and not span.attributes.get("cache_hit")


async def copy_run(source: Sink, target: Sink, run_id: str) -> None:
    """Copy one finished run, such as one of virtual time, into another sink.

    Raises ``NotFound`` when ``source`` has no such run, ``StoreError`` when ``target`` cannot
    keep it.
    """
    run = await source.run(run_id)
    await target.save(run, await source.events(run_id), await source.spans(run_id))


class RunLog:
    """One live run's events on their way to the sink and to its followers.

    The recorder's events wait in memory; one task stores them in batches, and
    what is stored has its number and goes to the followers. A sink that fails
    never fails the run: the events are numbered and handed on all the same,
    sent to the sink again with a later batch and at the end, and ``is_stored``
    says whether everything so far is there. A sink that raises ``RunLost`` ends it: what
    the run tells is not to be seen any more, and ``is_lost`` says so.

    ``earlier`` are the stored events of attempts before, from the first.
    """

    def __init__(self, recorder: Recorder, sink: Sink, earlier: Sequence[RunEvent] = ()) -> None:
        self.recorder = recorder
        self.is_stored = True
        self.is_lost = False
        self._sink = sink
        self._waiting: list[RunEvent] = []
        self._numbered: list[RunEvent] = list(earlier)
        self._unstored: list[RunEvent] = []
        self._has_line = False
        self._retry_at_s = float("-inf")
        self._has_work = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._is_closing = False
        self._is_over = False
        recorder.listeners.append(self._take)
        self._writer = asyncio.create_task(self._write(), name=f"log {recorder.run.run_id}")

    async def close(self) -> None:
        """Store what is left, the spans and the run's last line, and let the followers end.

        Cancelling whoever waits here does not stop the storing.
        """
        self.recorder.flush_text()
        self._is_closing = True
        self._has_work.set()
        await asyncio.wait([self._writer])
        if self._writer.cancelled():
            # A closing loop cancels every task, this one before the run has ended.
            await self._write_rest()
        else:
            self._writer.result()

    async def follow(self, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield the events numbered above ``after``: what is there, then live, to the end."""
        after = max(after, 0)
        while True:
            while after < len(self._numbered):
                yield self._numbered[after]
                after += 1
            if self._is_over:
                return
            await self._news.wait()

    def _take(self, event: RunEvent) -> None:
        self._waiting.append(event)
        if self._alarm is None:
            self._has_work.set()

    def _rest(self) -> None:
        """Let events gather for a moment: a run that hits emits hundreds in one."""
        self._has_work.clear()
        self._alarm = asyncio.get_running_loop().call_later(GATHER_S, self._go_on)

    def _go_on(self) -> None:
        self._alarm = None
        if self._waiting:
            self._has_work.set()

    async def _write(self) -> None:
        try:
            while not self._is_closing and not self.is_lost:
                await self._has_work.wait()
                self._has_work.clear()
                await self._write_batch(self._store)
                if not self._is_closing:
                    self._rest()
        except Exception:
            self._end()
            raise
        await self._write_rest()

    async def _write_rest(self) -> None:
        try:
            await self._write_batch(self._store_end)
        finally:
            self._end()

    def _end(self) -> None:
        """Take nothing more, and let the followers end."""
        if not self._is_over:
            self._is_over = True
            if self._alarm is not None:
                self._alarm.cancel()
            self.recorder.listeners.remove(self._take)
            self._tell_followers()

    async def _write_batch(self, store: Callable[[], Awaitable[None]]) -> None:
        batch = [
            msgspec.structs.replace(event, seq=number)
            for number, event in enumerate(self._waiting, len(self._numbered) + 1)
        ]
        self._waiting.clear()
        self._unstored.extend(batch)
        try:
            await store()
        finally:  # though this task is cancelled: their numbers are taken
            if not self.is_lost:
                self._numbered.extend(batch)
            self._tell_followers()

    async def _store(self) -> None:
        """Bring the sink up to date; the run's line goes with its first events."""
        run, unstored, is_kept = self.recorder.run, self._unstored, True
        if not self._has_line:
            is_kept = self._has_line = await self._keep(self._sink.save, run, unstored)
            if not is_kept:
                self._has_line = await self._keep(self._sink.save, run)
        elif unstored:
            is_kept = await self._keep(self._sink.append, unstored)
        if is_kept:
            self._unstored = []
        self.is_stored = self._has_line and is_kept

    async def _store_end(self) -> None:
        """Store what is left, the spans and the run's last line: at once, or what can be."""
        run, spans = self.recorder.run, self.recorder.spans
        self._retry_at_s = float("-inf")
        if await self._keep(self._sink.save, run, self._unstored, spans):
            self.is_stored = True
            return
        await self._keep(self._sink.append, self._unstored)
        await self._keep(self._sink.save, run, (), spans)

    async def _keep(self, keep: Callable[..., Awaitable[None]], *what: object) -> bool:
        """Hand something to the sink; whether it was kept. A sink that is gone is left alone."""
        if self.is_lost or self.recorder.clock.monotonic() < self._retry_at_s:
            return False
        try:
            await keep(*what)
        except (StoreError, CodecError) as error:
            if self.is_stored:
                _log.warning("run %s is not stored: %s", self.recorder.run.run_id, error)
            self.is_stored = False
            if error.retryable:
                self._retry_at_s = self.recorder.clock.monotonic() + RETRY_AFTER_S
            return False
        except RunLost:
            self.is_lost, self.is_stored = True, False
            return False
        return True

    def _tell_followers(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
