"""The log of a run: every event once and in order, whatever the sink and its followers do."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import CodecError, NotFound, StoreError, StoreUnavailable
from hasten.trace.log import GATHER_S, RETRY_AFTER_S, MemorySink, RunFilter, RunLog, copy_run
from hasten.trace.recorder import Recorder, emit, emit_text, enter_run, span
from tests.trace.making import run_of, sleep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.span import Span

SEEDS = 200


def live_run() -> RunRecord:
    """Make the line of a run that starts now."""
    return run_of(started_s=current_clock().now(), ended_s=None, status="running")


def new_log(sink: MemorySink) -> tuple[Recorder, RunLog]:
    """Make a recorder with its log and enter the run."""
    recorder = Recorder(live_run(), current_clock())
    enter_run(recorder)
    return recorder, RunLog(recorder, sink)


class UnsteadySink(MemorySink):
    """A memory sink that is slow by the seed, and fails as ``fails`` says.

    ``fails`` is asked with what is being kept and the how-manieth call it is,
    and returns an error or nothing.
    """

    def __init__(self, fails: Any = lambda _what, _call: None, slow_s: float = 0.0) -> None:
        super().__init__()
        self.calls: list[tuple[str, float]] = []
        self._fails = fails
        self._slow_s = slow_s

    async def _before(self, what: str) -> None:
        self.calls.append((what, current_clock().monotonic()))
        await sleep(virtual.latency(0, self._slow_s))
        error = self._fails(what, len(self.calls))
        if error is not None:
            raise error

    async def save(
        self, run: RunRecord, events: Sequence[RunEvent] = (), spans: Sequence[Span] = ()
    ) -> None:
        """Keep all of it, or fail."""
        await self._before("events" if events else "run")
        await super().save(run, events, spans)

    async def append(self, events: Sequence[RunEvent]) -> None:
        """Keep the events, or fail."""
        await self._before("events")
        await super().append(events)


async def work(recorder: Recorder, steps: int = 8) -> None:
    """Do something that emits events at random times, then end the run."""

    async def one(number: int) -> None:
        await sleep(virtual.latency(0, 2))
        with span("step", f"s{number}"):
            for _ in range(5):
                emit_text(f"section {number}", "word ")
                emit("note", number=number)
                await sleep(virtual.latency(0, 0.2))

    await asyncio.gather(*(one(number) for number in range(steps)))
    recorder.finish_span(recorder.root, "ok")
    recorder.run.status = "complete"
    recorder.run.ended_s = recorder.root.end_s


def numbers(events: Sequence[RunEvent]) -> list[int | None]:
    """Return the events' numbers."""
    return [event.seq for event in events]


@pytest.mark.parametrize("slow_s", [0.0, 0.3])
def test_followers_get_every_event_once_and_in_order(slow_s: float) -> None:
    """From any number, joined at any time, however slow they or the sink are."""

    async def main() -> None:
        sink = UnsteadySink(slow_s=slow_s)
        recorder, log = new_log(sink)
        told: list[RunEvent] = []
        recorder.listeners.append(told.append)

        async def follow(after: int, joins_s: float, slow_s: float) -> list[RunEvent]:
            await sleep(joins_s)
            seen = []
            async for event in log.follow(after):
                await sleep(virtual.latency(0, slow_s))
                seen.append(event)
            return seen

        afters = [0, 0, 1, 17, 40, 10_000]
        followers = [
            asyncio.create_task(
                follow(after, virtual.latency(0, 4), virtual.latency(0, 0.2) * (after % 2))
            )
            for after in afters
        ]
        await work(recorder)
        await log.close()
        kept = await sink.events("r1")
        assert numbers(kept) == list(range(1, len(told) + 1))
        assert [(one.type, one.data) for one in kept] == [(one.type, one.data) for one in told]
        for after, follower in zip(afters, followers, strict=True):
            assert await follower == kept[after:]
        assert [event async for event in log.follow(3)] == kept[3:]
        assert log.is_stored

    for seed in range(SEEDS // 4):
        virtual.run(main(), seed=seed)


def test_an_event_is_told_only_once_it_is_stored() -> None:
    """Whoever has seen number n finds it in the store at once."""

    async def main() -> None:
        sink = UnsteadySink(slow_s=0.5)
        recorder, log = new_log(sink)

        async def check() -> int:
            seen = 0
            async for event in log.follow():
                seen += 1
                assert event.seq == seen
                assert event in await sink.events("r1", after=seen - 1)
            return seen

        checking = asyncio.create_task(check())
        await work(recorder)
        await log.close()
        assert await checking == len(await sink.events("r1"))

    for seed in range(SEEDS // 4):
        virtual.run(main(), seed=seed)


def test_what_comes_in_a_burst_is_stored_together() -> None:
    """The first event at once, those that follow within a moment in one go; none waits long."""

    async def main() -> None:
        sink = UnsteadySink()
        recorder, log = new_log(sink)
        for number in range(50):
            with span("step", f"s{number}"):
                await asyncio.sleep(0)
        await sleep(2 * GATHER_S)
        kept = [at_s for what, at_s in sink.calls if what == "events"]
        assert kept == [0.0, pytest.approx(GATHER_S)]
        assert len(await sink.events(recorder.run.run_id)) == len(log._numbered) >= 100
        emit("note", number=1)
        recorder.finish_span(recorder.root, "ok")
        await log.close()
        assert current_clock().monotonic() == 2 * GATHER_S, "the end waits for nothing"

    virtual.run(main())


def test_what_is_kept_in_the_end() -> None:
    """The line with its outcome, the events with all text, the spans."""

    async def main() -> None:
        sink = MemorySink()
        recorder, log = new_log(sink)
        emit("note")
        await sleep(0)
        await sleep(0)
        assert (await sink.run("r1")).status == "running"
        await work(recorder)
        emit_text("after the last step", "kept ")
        recorder.text("epilogue", "also ", 1)
        recorder.text("epilogue", "kept", 1)
        await log.close()
        assert (await sink.run("r1")).status == "complete"
        assert await sink.spans("r1") == recorder.spans
        text = "".join(
            one.data["text"]
            for one in await sink.events("r1")
            if one.type == "text" and one.data["section"] == "epilogue"
        )
        assert text == "also kept"

    virtual.run(main())


def always(error: Exception) -> Any:
    """Fail every time."""
    return lambda _what, _call: error


@pytest.mark.parametrize(
    "error", [StoreUnavailable("gone"), StoreError("refused"), CodecError("no form")]
)
def test_a_failing_sink_fails_no_run(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Followers get everything, nothing raises, ``is_stored`` and one warning say so."""

    async def main() -> None:
        sink = UnsteadySink(always(error))
        recorder, log = new_log(sink)
        following = asyncio.create_task(collect(log))
        await work(recorder)
        await log.close()
        assert sink.calls
        assert not log.is_stored
        seen = await following
        assert numbers(seen) == list(range(1, len(seen) + 1))
        assert {"span.started", "text", "note", "span.finished"} <= {one.type for one in seen}
        with pytest.raises(NotFound):
            await sink.run("r1")

    virtual.run(main())
    assert [one.getMessage() for one in caplog.records] == [f"run r1 is not stored: {error}"]


async def collect(log: RunLog, after: int = 0) -> list[RunEvent]:
    """Follow to the end."""
    return [event async for event in log.follow(after)]


def test_a_sink_that_comes_back_has_everything() -> None:
    """Any calls may fail: if the last ones do not, nothing is missing and nothing is double."""

    async def main() -> None:
        chance = asyncio.get_running_loop().random  # type: ignore[attr-defined]
        errors = (StoreError("no"), StoreUnavailable("gone"))
        is_over = False

        def now_and_then(_what: str, _call: int) -> Exception | None:
            return chance.choice(errors) if not is_over and chance.random() < 0.6 else None

        sink = UnsteadySink(now_and_then, slow_s=0.1)
        recorder, log = new_log(sink)
        following = asyncio.create_task(collect(log))
        await work(recorder)
        is_over = True
        await log.close()
        assert log.is_stored
        assert await sink.events("r1") == await following
        assert await sink.spans("r1") == recorder.spans
        assert (await sink.run("r1")).status == "complete"

    for seed in range(SEEDS):
        virtual.run(main(), seed=seed)


def test_a_sink_that_is_gone_slows_no_stream() -> None:
    """One that fails after seconds is asked once in a while, and once more at the end."""

    async def main() -> None:
        class Frozen(UnsteadySink):
            async def _before(self, what: str) -> None:
                self.calls.append((what, current_clock().monotonic()))
                await sleep(2)
                message = "no answer in 2 s"
                raise StoreUnavailable(message)

        sink = Frozen()
        recorder, log = new_log(sink)
        late_s: list[float] = []

        async def follow() -> None:
            late_s.extend([recorder.now() - event.at_s async for event in log.follow()])

        following = asyncio.create_task(follow())
        for _ in range(200):
            emit("note")
            await sleep(0.1)
        await log.close()
        await following
        asked_s = [at_s for _, at_s in sink.calls]
        gaps_s = [later - one for one, later in itertools.pairwise(asked_s)]
        assert all(gap_s >= RETRY_AFTER_S for gap_s in gaps_s[:-1])
        assert len(asked_s) <= 20 / (2 + RETRY_AFTER_S) + 2
        assert sorted(late_s)[len(late_s) // 2] < 1e-6

    virtual.run(main())


def test_the_last_line_is_kept_though_an_event_has_no_form() -> None:
    """One value that cannot be stored costs the events, not the run's outcome."""

    async def main() -> None:
        sink = UnsteadySink(lambda what, _call: CodecError("x") if what == "events" else None)
        recorder, log = new_log(sink)
        await work(recorder, steps=1)
        await log.close()
        assert (await sink.run("r1")).status == "complete"
        assert await sink.spans("r1") == recorder.spans
        assert not log.is_stored

    virtual.run(main())


def test_cancelling_the_close_loses_nothing() -> None:
    """Whoever waited goes; the storing goes on and the followers end."""

    async def main() -> None:
        sink = UnsteadySink(slow_s=1)
        recorder, log = new_log(sink)
        following = asyncio.create_task(collect(log))
        await work(recorder, steps=2)
        closing = asyncio.create_task(log.close())
        await sleep(virtual.latency(0, 2))
        closing.cancel()
        await asyncio.wait([closing])
        seen = await following
        assert numbers(seen) == list(range(1, len(seen) + 1))
        assert await sink.events("r1") == seen
        assert (await sink.run("r1")).status == "complete"
        assert log.is_stored

    for seed in range(SEEDS // 4):
        virtual.run(main(), seed=seed)


def test_a_loop_that_closes_loses_nothing() -> None:
    """It cancels the writer too, in the midst of a batch perhaps; closing writes the rest."""

    async def main() -> None:
        sink = UnsteadySink(slow_s=0.5)
        recorder, log = new_log(sink)
        told: list[RunEvent] = []
        recorder.listeners.append(told.append)
        following = asyncio.create_task(collect(log))
        working = asyncio.create_task(work(recorder))
        await sleep(virtual.latency(0, 3))
        log._writer.cancel()
        await working
        await log.close()
        seen = await following
        assert numbers(seen) == list(range(1, len(told) + 1))
        assert [(one.type, one.data) for one in seen] == [(one.type, one.data) for one in told]
        assert await sink.events("r1") == seen
        assert (await sink.run("r1")).status == "complete"

    for seed in range(SEEDS):
        virtual.run(main(), seed=seed)


def test_a_follower_that_leaves_disturbs_nobody() -> None:
    """Closing a tab half-way: the run goes on and the others see all of it."""

    async def main() -> None:
        sink = MemorySink()
        recorder, log = new_log(sink)

        async def leave_early() -> None:
            async for event in log.follow():
                if event.seq == 5:
                    return

        leaving = asyncio.create_task(leave_early())
        cancelled = asyncio.create_task(collect(log))
        staying = asyncio.create_task(collect(log))
        await sleep(1)
        cancelled.cancel()
        await work(recorder)
        await log.close()
        await leaving
        assert cancelled.cancelled()
        assert await staying == await sink.events("r1")

    for seed in range(20):
        virtual.run(main(), seed=seed)


def test_a_sink_with_a_fault_of_its_own_is_not_hidden() -> None:
    """An error that is no store's error comes out of ``close``, and followers still end."""

    async def main() -> None:
        sink = UnsteadySink(always(ZeroDivisionError()))
        _, log = new_log(sink)
        following = asyncio.create_task(collect(log))
        emit("note")
        with pytest.raises(ZeroDivisionError):
            await log.close()
        assert [event.type for event in await following] == ["note"]

    virtual.run(main())


def test_nothing_is_taken_after_the_end() -> None:
    """A closed log no longer listens."""

    async def main() -> None:
        recorder, log = new_log(MemorySink())
        await log.close()
        recorder.emit("note", 1, {})
        assert recorder.listeners == []
        assert await collect(log) == []

    virtual.run(main())


def test_a_number_below_zero_means_from_the_start() -> None:
    """``after`` is what a client sent; a negative one asks for everything."""

    async def main() -> None:
        _, log = new_log(MemorySink())
        emit("note")
        emit("note")
        await log.close()
        assert numbers(await collect(log, -7)) == [1, 2]
        assert numbers(await collect(log, 1)) == [2]

    virtual.run(main())


def test_a_kept_run_is_not_changed_by_the_live_one() -> None:
    """What the sink holds and what it gave away are copies."""

    async def main() -> None:
        sink, run = MemorySink(), run_of(degraded_by=["a"])
        await sink.save(run)
        run.degraded_by.append("b")
        (await sink.run("r1")).degraded_by.append("c")
        (await sink.runs(RunFilter()))[0].degraded_by.append("d")
        assert (await sink.run("r1")).degraded_by == ["a"]
        recorder = Recorder(run, current_clock())
        await sink.save(run, (), recorder.spans)
        recorder.root.name = "changed"
        assert [one.name for one in await sink.spans("r1")] == ["report"]

    virtual.run(main())


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, ["c", "b", "a"]),
        ({"tenant": "acme"}, ["b", "a"]),
        ({"user": "bob"}, ["c", "b"]),
        ({"simulated": False}, ["c"]),
        ({"speed": 1.0, "clock": "virtual"}, ["c", "b", "a"]),
        ({"since_s": 20.0}, ["c", "b"]),
        ({"before_s": 20.0}, ["a"]),
        ({"status": "failed"}, []),
        ({"limit": 1}, ["c"]),
        ({"app": "discovery", "mode": "baseline"}, ["b"]),
    ],
)
def test_runs_are_found_newest_first(which: dict[str, Any], found: list[str]) -> None:
    """Each field narrows the list."""

    async def main() -> list[str]:
        sink = MemorySink()
        await sink.save(run_of("a", started_s=10.0))
        await sink.save(run_of("b", started_s=20.0, user="bob", mode="baseline"))
        await sink.save(run_of("c", started_s=30.0, tenant="other", user="bob", simulated=False))
        return [run.run_id for run in await sink.runs(RunFilter(**which))]

    assert virtual.run(main()) == found


def test_a_copied_run_is_the_same_run() -> None:
    """Its line, events and spans arrive in the other sink; an unknown run is not found."""

    async def main() -> None:
        source, target = MemorySink(), MemorySink()
        recorder, log = new_log(source)
        await work(recorder, steps=2)
        await log.close()
        await copy_run(source, target, "r1")
        assert await target.run("r1") == await source.run("r1")
        assert await target.events("r1") == await source.events("r1")
        assert await target.spans("r1") == await source.spans("r1")
        with pytest.raises(NotFound):
            await copy_run(source, target, "r2")

    virtual.run(main())
