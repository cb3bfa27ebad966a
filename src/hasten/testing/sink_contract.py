"""What every ``Sink`` promises, as checks that run on any of them.

Owns the promises of ``hasten.trace.log.Sink`` in executable form. Each clause
takes an empty sink and raises ``AssertionError`` when it breaks its word::

    @pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
    def test_my_sink(clause):
        asyncio.run(clause(MySink()))
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.errors import CodecError, NotFound, StoreError
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.log import MemorySink, RunFilter, copy_run
from hasten.trace.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from hasten.trace.log import Sink

    Clause = Callable[[Sink], Coroutine[Any, Any, None]]

STRANGE = "Å 漢字 🦊 \x00 \x1f \u2028 ' \" \\ %s :name \ud800"
"""Text that stores have been known to lose, cut or choke on."""

HUGE_CHARS = 2_000_000


def run_record(run_id: str, **changes: Any) -> RunRecord:
    """Return a complete run of one second; ``changes`` are fields of ``RunRecord``."""
    fields: dict[str, Any] = {
        "app": "discovery",
        "graph": "report",
        "mode": "hasten",
        "tenant": "acme",
        "user": "ann",
        "clock": "real",
        "speed": 1.0,
        "simulated": True,
        "started_s": 1_000.0,
        "ended_s": 1_001.0,
        "status": "complete",
    }
    return RunRecord(run_id=run_id, **{**fields, **changes})


def run_events(run_id: str, numbers: Sequence[int], **data: Any) -> list[RunEvent]:
    """Return one event for each of ``numbers``, carrying ``data``."""
    return [RunEvent(run_id, "text", 1_000.0 + n / 8, 2, {**data, "n": n}, seq=n) for n in numbers]


async def keeps_every_field_of_a_run(sink: Sink) -> None:
    """A run comes back equal, whatever its fields hold, and saving it again replaces it."""
    full = run_record(
        "r1",
        speed=0.1,
        inputs={"summary": STRANGE, "n": 2**53, "deep": [{"a": [None, True, 1.5]}]},
        outputs={"report": STRANGE},
        degraded_by=["research: timed out"],
        error={"code": "step_failed", "message": STRANGE},
        llm_calls=3,
        tool_calls=11,
        cache_hits=2,
        tokens_in=5_000_000_000,
        tokens_out=7,
        cost_usd=0.1 + 0.2,
        first_text_s=0.75,
    )
    await sink.save(full)
    assert await sink.run("r1") == full
    bare = run_record("r1", ended_s=None, status="running")
    await sink.save(bare)
    assert await sink.run("r1") == bare


async def keeps_what_was_saved(sink: Sink) -> None:
    """A run that changes after it was saved is not changed in the sink."""
    run = run_record("r1", status="running")
    await sink.save(run)
    run.status = "failed"
    assert (await sink.run("r1")).status == "running"


async def says_that_a_run_is_unknown(sink: Sink) -> None:
    """An unknown run raises ``NotFound``; it has no events and no spans."""
    try:
        await sink.run("nobody")
    except NotFound as error:
        assert "nobody" in str(error)  # noqa: PT017 - pytest is not needed to check a sink
    else:
        raise AssertionError("an unknown run was found")
    assert await sink.events("nobody") == []
    assert await sink.spans("nobody") == []


async def keeps_events_in_order(sink: Sink) -> None:
    """Events come back equal and by number, also when batches came out of order."""
    events = run_events("r1", range(1, 8), text=STRANGE)
    await sink.append(events[4:])
    await sink.append(events[:4])
    await sink.append(run_events("r2", [1]))
    assert await sink.events("r1") == events
    assert await sink.events("r1", after=5) == events[5:]
    assert await sink.events("r1", after=7) == []


async def takes_a_batch_twice(sink: Sink) -> None:
    """A number that is there stays what it was; the rest of the batch is kept."""
    first = run_events("r1", [1, 2], text="first")
    await sink.append(first)
    await sink.append(run_events("r1", [1, 2, 3], text="second"))
    assert await sink.events("r1") == [*first, *run_events("r1", [3], text="second")]


async def keeps_all_of_a_batch_or_none(sink: Sink) -> None:
    """A batch with an event that has no number is refused whole; an empty one is nothing."""
    await sink.append([])
    good = run_events("r1", [1])
    try:
        await sink.append([*good, RunEvent("r1", "text", 1_000.0)])
    except StoreError:
        pass
    else:
        raise AssertionError("an event without a number was taken")
    assert await sink.events("r1") == []
    await sink.append(good)
    assert await sink.events("r1") == good


async def saves_all_of_a_run_or_nothing(sink: Sink) -> None:
    """A line comes with its events and spans, or none of them is kept."""
    run, spans = run_record("r1"), [Span(1, None, "run", "report", 1_000.0)]
    try:
        await sink.save(run, [RunEvent("r1", "text", 1_000.0)], spans)
    except StoreError:
        pass
    else:
        raise AssertionError("an event without a number was taken")
    assert (await sink.runs(RunFilter()), await sink.spans("r1")) == ([], [])
    await sink.save(run, run_events("r1", [1, 2]), spans)
    await sink.save(run, run_events("r1", [2, 3]))
    assert await sink.run("r1") == run
    assert await sink.events("r1") == run_events("r1", [1, 2, 3])
    assert await sink.spans("r1") == spans


async def keeps_spans(sink: Sink) -> None:
    """Spans come back equal and in order; saving again replaces them."""
    spans = [
        Span(1, None, "run", "report", 1_000.0, 1_001.0, "ok"),
        Span(2, 1, "step", STRANGE.replace("\x00", "").replace("\ud800", ""), 1_000.0, None),
        Span(3, 2, "model", "sim", 1_000.25, 1_000.5, "failed", {"error": STRANGE, "tokens_in": 9}),
    ]
    await sink.save(run_record("r1"), (), spans[:1])
    await sink.save(run_record("r1"), (), spans)
    assert await sink.spans("r1") == spans


async def refuses_what_has_no_plain_form(sink: Sink) -> None:
    """A value no store can carry is an error that says so, and nothing is kept."""
    try:
        await sink.save(run_record("r1", outputs={"report": object()}))
    except CodecError as error:
        assert "object" in str(error)  # noqa: PT017 - pytest is not needed to check a sink
    else:
        raise AssertionError("an object without a plain form was taken")
    assert await sink.runs(RunFilter()) == []


async def keeps_huge_values(sink: Sink) -> None:
    """Megabytes in one value come back whole."""
    huge = "0123456789" * (HUGE_CHARS // 10)
    await sink.save(run_record("r1", outputs={"report": huge}))
    await sink.append(run_events("r1", [1], text=huge))
    assert (await sink.run("r1")).outputs["report"] == huge
    assert (await sink.events("r1"))[0].data["text"] == huge


async def lists_by_filter(sink: Sink) -> None:
    """Each filter alone picks the runs that differ in it, newest first, at most ``limit``."""
    other: dict[str, Any] = {
        "tenant": "other",
        "user": "bob",
        "app": "okr",
        "mode": "baseline",
        "status": "failed",
        "clock": "virtual",
        "speed": 4.0,
        "simulated": False,
    }
    await sink.save(run_record("plain", started_s=5_000.0))
    for place, (name, value) in enumerate(other.items()):
        await sink.save(run_record(name, started_s=1_000.0 + place, **{name: value}))
    for name, value in other.items():
        found = await sink.runs(msgspec.structs.replace(RunFilter(), **{name: value}))
        assert [run.run_id for run in found] == [name], name
    newest_first = ["plain", *reversed(other)]
    assert [run.run_id for run in await sink.runs(RunFilter())] == newest_first
    assert [run.run_id for run in await sink.runs(RunFilter(limit=3))] == newest_first[:3]
    some = await sink.runs(RunFilter(since_s=1_001.0, before_s=1_004.0, tenant="acme"))
    assert [run.run_id for run in some] == ["mode", "app", "user"]
    assert await sink.runs(RunFilter(tenant="acme", user="nobody")) == []


async def knows_how_long_steps_took(sink: Sink) -> None:
    """Durations come from well ended steps and tools right below matching complete runs.

    What the cache had took no time, and a run that found all of it there says nothing.
    """
    for number, status in enumerate(("complete", "complete", "failed", "complete")):
        run_id = f"r{number}"
        app = "okr" if number == 3 else "discovery"  # noqa: PLR2004 - the last one
        start_s = 1_000.0 + number
        run = run_record(run_id, app=app, status=status, started_s=start_s, llm_calls=1)
        spans = [
            Span(1, None, "run", "report", start_s, start_s + 9.0, "ok"),
            Span(2, 1, "step", "research", start_s, start_s + 2.0 + number, "ok"),
            Span(3, 1, "step", "profile", start_s, start_s + 0.5, "timeout"),
            Span(4, 1, "tool", "search", start_s, start_s + 0.25, "ok"),
            Span(6, 2, "tool", "inside", start_s, start_s + 0.25, "ok"),
            Span(5, 1, "step", "write", start_s, start_s + 0.5, "ok"),
            Span(7, 1, "step", "plan", start_s, start_s + 0.5, "ok", {"cache_hit": "memory"}),
        ]
        await sink.save(run, (), spans)
    found = await sink.step_durations(RunFilter(app="discovery"))
    assert found == {"research": [3.0, 2.0], "search": [0.25, 0.25], "write": [0.5, 0.5]}
    newest = await sink.step_durations(RunFilter(app="discovery", limit=1))
    assert newest == {"research": [3.0], "search": [0.25], "write": [0.5]}
    hits = run_record("hits", started_s=2_000.0, cache_hits=2)
    await sink.save(hits, (), [Span(1, 1, "step", "research", 2_000.0, 2_000.125, "ok")])
    assert await sink.step_durations(RunFilter(app="discovery", limit=1)) == newest
    assert await sink.step_durations(RunFilter(app="fortune")) == {}


async def prunes_whole_runs(sink: Sink) -> None:
    """Runs that ended before go with all that is theirs; a dead one counts from its start."""
    await _save_whole(sink, run_record("old", started_s=10.0, ended_s=20.0))
    await _save_whole(sink, run_record("long", started_s=10.0, ended_s=200.0))
    await _save_whole(sink, run_record("dead", started_s=10.0, ended_s=None, status="running"))
    await _save_whole(sink, run_record("new", started_s=110.0, ended_s=None, status="running"))
    assert await sink.prune(before_s=100.0) == 2  # noqa: PLR2004 - old and dead
    assert [run.run_id for run in await sink.runs(RunFilter())] == ["new", "long"]
    for run_id in ("old", "dead"):
        assert await sink.events(run_id) == []
        assert await sink.spans(run_id) == []
    assert len(await sink.events("long")) == len(await sink.spans("long")) == 1
    assert await sink.prune(before_s=100.0) == 0


async def erases_a_person(sink: Sink) -> None:
    """One person's runs go with all that is theirs; a namesake in another tenant stays."""
    await _save_whole(sink, run_record("hers", tenant="acme", user="ann"))
    await _save_whole(sink, run_record("his", tenant="acme", user="bob"))
    await _save_whole(sink, run_record("namesake", tenant="other", user="ann"))
    assert await sink.erase("acme", "ann") == 1
    assert {run.run_id for run in await sink.runs(RunFilter())} == {"his", "namesake"}
    assert await sink.events("hers") == []
    assert await sink.spans("hers") == []
    assert len(await sink.events("namesake")) == 1
    assert await sink.erase("acme", "ann") == 0


async def takes_many_writers(sink: Sink) -> None:
    """Fifty runs that write at once all keep their events, each in its own order."""

    async def write(run_id: str) -> None:
        for first in range(1, 21, 5):
            await sink.append(run_events(run_id, range(first, first + 5)))

    ids = [f"r{number}" for number in range(50)]
    await asyncio.gather(*(write(run_id) for run_id in ids))
    for run_id in ids:
        assert [event.seq for event in await sink.events(run_id)] == list(range(1, 21))


async def takes_a_copy(sink: Sink) -> None:
    """A finished run copied from memory is the same run, and copying it again changes nothing."""
    source = MemorySink()
    run = run_record("r1", clock="virtual", outputs={"report": STRANGE})
    await _save_whole(source, run)
    for _ in range(2):
        await copy_run(source, sink, "r1")
    assert await sink.run("r1") == run
    assert await sink.events("r1") == await source.events("r1")
    assert await sink.spans("r1") == await source.spans("r1")


async def _save_whole(sink: Sink, run: RunRecord) -> None:
    """Save a run with one event and one span."""
    spans = [Span(1, None, "run", "report", run.started_s)]
    await sink.save(run, run_events(run.run_id, [1]), spans)


CLAUSES: tuple[Clause, ...] = (
    keeps_every_field_of_a_run,
    keeps_what_was_saved,
    says_that_a_run_is_unknown,
    keeps_events_in_order,
    takes_a_batch_twice,
    keeps_all_of_a_batch_or_none,
    saves_all_of_a_run_or_nothing,
    keeps_spans,
    refuses_what_has_no_plain_form,
    keeps_huge_values,
    lists_by_filter,
    knows_how_long_steps_took,
    prunes_whole_runs,
    erases_a_person,
    takes_many_writers,
    takes_a_copy,
)
