"""Recording: what is opened where, what is told when, what text becomes."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.clock import Clock
from hasten.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelTimeout,
    RunCancelled,
    StepFailed,
    StepTimeout,
)
from hasten.trace.event import RunEvent
from hasten.trace.recorder import (
    OpenSpan,
    Recorder,
    current_recorder,
    degrade,
    describe,
    emit,
    emit_text,
    span,
    status_of,
)
from tests.trace.making import new_recorder, sleep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hasten.trace.span import Span


def shape(recorder: Recorder) -> list[tuple[int | None, str, float, float | None]]:
    """Write each span as parent, name, start and end, in seconds since the run's start."""
    start_s = recorder.run.started_s
    return [
        (
            one.parent_id,
            one.name,
            round(one.start_s - start_s, 6),
            None if one.end_s is None else round(one.end_s - start_s, 6),
        )
        for one in recorder.spans
    ]


def record(opened: OpenSpan) -> Span:
    """Return the span that was recorded, which exists inside a run."""
    assert opened.record is not None
    return opened.record


def test_spans_nest_by_task() -> None:
    """A span's parent is the innermost one open in its own task, not in a sibling's."""

    async def main() -> None:
        recorder, _ = new_recorder()

        async def branch(name: str) -> None:
            with span("step", name):
                await sleep(1)
                with span("tool", f"{name}.tool"):
                    await sleep(1)

        with span("step", "first"):
            await asyncio.gather(branch("a"), branch("b"))
        with span("step", "last"):
            pass
        recorder.finish_span(recorder.root, "ok")
        assert shape(recorder) == [
            (None, "report", 0, 2),
            (1, "first", 0, 2),
            (2, "a", 0, 2),
            (2, "b", 0, 2),
            (3, "a.tool", 1, 2),
            (4, "b.tool", 1, 2),
            (1, "last", 2, 2),
        ]
        assert [one.span_id for one in recorder.spans] == list(range(1, 8))

    virtual.run(main(), shuffle=False)


def test_events_carry_what_their_documentation_says() -> None:
    """The start tells what is known by then, the end the whole span."""

    async def main() -> None:
        recorder, heard = new_recorder()
        await sleep(1)
        with span("model", "sim", task="rank") as here:
            await sleep(2)
            here.set(tokens_in=7)
        start_s = recorder.run.started_s + 1
        assert heard == [
            RunEvent(
                "r1",
                "span.started",
                start_s,
                2,
                {
                    "task": "rank",
                    "kind": "model",
                    "name": "sim",
                    "parent_id": 1,
                    "start_s": start_s,
                },
            ),
            RunEvent(
                "r1",
                "span.finished",
                start_s + 2,
                2,
                {
                    "kind": "model",
                    "name": "sim",
                    "parent_id": 1,
                    "start_s": start_s,
                    "end_s": start_s + 2,
                    "status": "ok",
                    "attributes": {"task": "rank", "tokens_in": 7},
                },
            ),
        ]

    virtual.run(main())


def test_an_event_is_not_changed_by_what_comes_later() -> None:
    """Attributes set after the end reach the span and not the event already told."""

    async def main() -> None:
        _, heard = new_recorder()
        with span("tool", "t") as here:
            pass
        here.set(late=True)
        assert "late" in record(here).attributes
        assert heard[-1].data["attributes"] == {}

    virtual.run(main())


def test_the_root_starts_with_its_run() -> None:
    """The run's line and its span agree to the last digit, on the real clock too."""

    async def main() -> None:
        recorder, _ = new_recorder(Clock(4.0))
        assert recorder.root.start_s == recorder.run.started_s
        assert recorder.spans[0] is recorder.root
        assert recorder.now() >= recorder.root.start_s

    virtual.run(main())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (RunCancelled("stop"), "cancelled"),
        (TimeoutError(), "timeout"),
        (StepTimeout("late", step="s"), "timeout"),
        (ModelTimeout("late"), "timeout"),
        (DeadlineExceeded("late"), "timeout"),
        (StepFailed("no", step="s"), "failed"),
        (KeyError("k"), "failed"),
    ],
)
def test_how_a_block_is_left_is_its_status(error: BaseException, status: str) -> None:
    """The error decides the status, stands in the attributes and goes on its way."""

    async def main() -> None:
        new_recorder()
        opened = span("step", "s")
        opened.set_status("degraded")
        with pytest.raises(type(error)), opened:
            raise error
        assert record(opened).status == status == status_of(error)
        assert record(opened).attributes["error"] == describe(error)

    virtual.run(main())


def test_a_block_that_ends_well_may_say_how() -> None:
    """``set_status`` speaks for a block that raised nothing; without it the status is ok."""

    async def main() -> None:
        new_recorder()
        with span("step", "s") as said:
            said.set_status("degraded")
        with span("step", "s") as silent:
            pass
        assert (record(said).status, record(silent).status) == ("degraded", "ok")

    virtual.run(main())


def test_an_error_is_described_by_code_and_a_bounded_message() -> None:
    """Ours by its code, others by their class; never more than 500 characters."""
    assert describe(InvalidInput("bad", field="f")) == {"code": "invalid_input", "message": "bad"}
    found = describe(ValueError("x" * 10_000))
    assert (found["code"], len(found["message"])) == ("ValueError", 500)


def test_figures_add_up_in_the_run() -> None:
    """Tools, model calls, tokens, money and hits are counted as their spans end."""

    async def main() -> None:
        recorder, _ = new_recorder()
        with span("tool", "t", cache_hit=True):
            pass
        with span("tool", "u"), span("model", "m") as here:
            here.set(tokens_in=5, tokens_out=7, cost_usd=0.25)
        with span("model", "m", tokens_in=1):
            pass
        run = recorder.run
        assert (run.tool_calls, run.llm_calls, run.cache_hits) == (2, 2, 1)
        assert (run.tokens_in, run.tokens_out, run.cost_usd) == (6, 7, 0.25)

    virtual.run(main())


def test_a_listener_s_fault_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and those who listen after it are told all the same."""

    async def main() -> None:
        recorder, _ = new_recorder()
        heard: list[str] = []

        def faulty(_event: RunEvent) -> None:
            raise ZeroDivisionError

        recorder.listeners[:] = [faulty, lambda event: heard.append(event.type)]
        with span("step", "s"):
            pass
        assert heard == ["span.started", "span.finished"]

    virtual.run(main())
    assert [one.getMessage() for one in caplog.records] == [
        "run r1: a listener failed on span.started",
        "run r1: a listener failed on span.finished",
    ]


def test_what_fell_back_marks_all_that_is_around_it() -> None:
    """The run says by what, the spans around know that they hold something degraded."""

    async def main() -> None:
        recorder, heard = new_recorder()
        degrade("nobody", "outside any step")
        with span("step", "outer") as outer, span("step", "inner") as inner:
            degrade("tool", "fallback after step_timeout")
        with span("step", "other") as other:
            assert not other.is_degraded
        assert inner.is_degraded
        assert outer.is_degraded
        assert recorder.run.degraded_by == [
            "nobody: outside any step",
            "tool: fallback after step_timeout",
        ]
        told = [(one.span_id, one.data) for one in heard if one.type == "degraded"]
        assert told[1] == (3, {"step": "tool", "reason": "fallback after step_timeout"})

    virtual.run(main())


def test_outside_a_run_nothing_is_recorded() -> None:
    """The same code works without a run: it records nothing and fails at nothing."""
    assert current_recorder() is None
    with span("tool", "t") as here:
        here.set(x=1)
        here.set_status("degraded")
        emit("progress", progress=1.0)
        emit_text("s", "t")
        degrade("s", "nobody to tell")
    assert here.record is None
    with pytest.raises(KeyError), span("tool", "t"):
        raise KeyError


def test_work_that_outlives_its_span_is_recorded_in_the_one_still_open() -> None:
    """A task left running belongs to the run while it lasts, and to nothing afterwards."""

    async def main() -> None:
        recorder, heard = new_recorder()

        async def outlive() -> None:
            await sleep(1)
            with span("tool", "late"):
                emit("note")
            await sleep(1)
            with span("tool", "too late"):
                emit("note")
            assert current_recorder() is None

        with span("step", "s"):
            left = asyncio.create_task(outlive())
            await sleep(0.5)
        await sleep(1)
        recorder.finish_span(recorder.root, "ok")
        await left
        assert [one.name for one in recorder.spans] == ["report", "s", "late"]
        assert recorder.spans[2].parent_id == 1
        assert len([one for one in heard if one.type == "note"]) == 1

    virtual.run(main())


def test_emit_names_the_span_it_happened_in() -> None:
    """An event of the application's own goes to the listeners in its place."""

    async def main() -> None:
        recorder, heard = new_recorder()
        emit("progress", progress=0.0)
        with span("step", "s"):
            emit("progress", progress=0.5)
        assert current_recorder() is recorder
        progress = [(one.span_id, one.data) for one in heard if one.type == "progress"]
        assert progress == [(1, {"progress": 0.0}), (2, {"progress": 0.5})]

    virtual.run(main())


async def chunks() -> AsyncIterator[int]:
    """Yield from inside a model's span, as a stream does."""
    with span("model", "m"):
        for number in range(3):
            await sleep(1)
            yield number


def test_a_stream_s_span_ends_inside_what_its_reader_opened() -> None:
    """Spans of a generator and of its reader may end in any order; new ones find an open parent."""

    async def main() -> None:
        recorder, _ = new_recorder()
        with span("step", "reader"):
            stream = chunks()
            with span("tool", "opened before"):
                await anext(stream)
            with span("tool", "beside"):
                async for _ in stream:
                    pass
            with span("tool", "after"):
                pass
        with span("step", "next"):
            pass
        names = {one.span_id: one.name for one in recorder.spans}
        parents = {one.name: names.get(one.parent_id or 0) for one in recorder.spans}
        assert parents["after"] == "reader"
        assert parents["next"] == "report"
        assert all(one.end_s is not None for one in recorder.spans[1:])

    virtual.run(main())


def test_a_stream_dropped_half_way_is_cancelled_and_leaves_its_reader_in_place() -> None:
    """The collector closes the generator in another context; its span still ends."""

    async def main() -> None:
        recorder, _ = new_recorder()

        async def read_one() -> None:
            async for _ in chunks():
                break

        with span("step", "reader"):
            await read_one()
            gc.collect()
            await sleep(1)
            with span("tool", "after"):
                pass
        model = recorder.spans[2]
        assert (model.name, model.status) == ("m", "cancelled")
        assert model.end_s is not None
        assert recorder.spans[3].parent_id == 2  # the reader's: the dropped one is over

    virtual.run(main())


def test_a_span_costs_no_more_memory_than_its_records() -> None:
    """Recording leaves no garbage for the collector: what it allocates is the trace itself."""

    async def main() -> None:
        recorder, _ = new_recorder()
        recorder.listeners.clear()
        for _ in range(50):
            with span("step", "warm"):
                pass
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            for _ in range(1_000):
                with span("step", "s", phase="p"):
                    pass
            kept = len(gc.get_objects()) - before
            assert gc.collect() == 0  # no cycles
        finally:
            gc.enable()
        assert kept <= 2 * 1_000 + 50  # the span and its attributes

    virtual.run(main())
