"""Traces made by hand and by hypothesis, for the tests of what is derived from them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hasten.clock import Clock, current_clock
from hasten.trace.event import RunEvent, RunRecord
from hasten.trace.recorder import Recorder, enter_run
from hasten.trace.span import Span, SpanKind
from hasten.trace.tree import Trace

START_S = 1_767_225_600.0
"""When every made run starts."""

KINDS: list[SpanKind] = ["step", "tool", "model", "cache", "queue", "storage"]


def run_of(run_id: str = "r1", duration_s: float = 10.0, **fields: Any) -> RunRecord:
    """Make the line of a finished run."""
    told: dict[str, Any] = {
        "app": "discovery",
        "graph": "report",
        "mode": "hasten",
        "tenant": "acme",
        "user": "ann",
        "clock": "virtual",
        "speed": 1.0,
        "simulated": True,
        "started_s": START_S,
        "ended_s": START_S + duration_s,
        "status": "complete",
        **fields,
    }
    return RunRecord(run_id=run_id, **told)


Row = tuple[int, SpanKind, str, float, float, dict[str, Any]]


def trace_of(*rows: Row, duration_s: float = 10.0, **fields: Any) -> Trace:
    """Make a trace from rows of parent, kind, name, start, end, attributes.

    Times are seconds since the run's start; the root is span 1, the rows are 2, 3, …
    """
    run = run_of(duration_s=duration_s, **fields)
    spans = [Span(1, None, "run", run.graph, START_S, START_S + duration_s, "ok")]
    for number, (parent, kind, name, start_s, end_s, attributes) in enumerate(rows, 2):
        spans.append(
            Span(number, parent, kind, name, START_S + start_s, START_S + end_s, "ok", attributes)
        )
    return Trace(run, spans)


MARKS: list[dict[str, Any]] = [
    {},
    {"phase": "profile"},
    {"phase": "overhead"},
    {"after": []},
    {"after": ["a", "b"], "phase": "research"},
    {"after": ["c"], "missed": ["d"]},
    {"missed": ["a"], "params": {"area": "AI"}, "phase": "profile"},
    {"params": {"area": "Food"}, "cache_hit": True},
    {"params": {"area": "AI"}, "phase": "research"},
]
moments_ms = st.integers(0, 10_000)


@st.composite
def traces(draw: st.DrawFn, max_spans: int = 16) -> Trace:
    """Draw any trace: spans of any times below any parents, some open, some with dependencies.

    Nothing is promised: children may outlast their parents, and names may repeat.
    """
    rows: list[Row] = []
    for number in range(2, draw(st.integers(2, max_spans))):
        start_ms, end_ms = sorted((draw(moments_ms), draw(moments_ms)))
        mark = draw(st.integers(0, len(KINDS) * len(MARKS) * 5 - 1))
        kind, attributes, name = KINDS[mark % 6], MARKS[mark // 6 % 9], "abcde"[mark // 54]
        parent = draw(st.integers(1, number - 1))
        rows.append((parent, kind, name, start_ms / 1e3, end_ms / 1e3, dict(attributes)))
    trace = trace_of(*rows, duration_s=draw(moments_ms) / 1e3)
    for position in draw(st.sets(st.integers(0, len(rows)), max_size=2)):
        trace.spans[position].end_s = None
    return Trace(trace.run, trace.spans)


def new_recorder(clock: Clock | None = None) -> tuple[Recorder, list[RunEvent]]:
    """Make a recorder of a run that starts now, the list its events go to, and enter it."""
    clock = clock or current_clock()
    run = run_of(
        clock=clock.kind, speed=clock.speed, started_s=clock.now(), ended_s=None, status="running"
    )
    recorder, heard = Recorder(run, clock), list[RunEvent]()
    recorder.listeners.append(heard.append)
    enter_run(recorder)
    return recorder, heard


async def sleep(seconds: float) -> None:
    """Sleep on the clock in force."""
    await current_clock().sleep(seconds)
