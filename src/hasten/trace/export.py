"""Traces for other people's viewers: Chrome's trace format and speedscope's.

Owns the two formats and the lanes spans are put in; leaves writing files to
``hasten export``. Chrome's "Trace Event Format" is what Perfetto and
``chrome://tracing`` open; speedscope's "evented" profile is described in its
``file-format-spec``. Both ask that the bars of one track nest, which work done
side by side does not: hence lanes. Times are microseconds since each run's own
start, so that runs can be laid side by side.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from hasten.trace.critical import critical_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hasten.trace.span import Span
    from hasten.trace.tree import Trace


class Bar(NamedTuple):
    """A span on the time line, in whole microseconds since its run started."""

    span: Span
    start_us: int
    end_us: int


def lanes(trace: Trace) -> list[list[Bar]]:
    """Part a run's spans into lanes, in each of which any two follow or enclose each other.

    A span goes into its parent's lane when there is room, else into the first
    lane that has some, and lies only upon spans it is really inside of.
    """
    found: list[list[Bar]] = []
    opened: list[list[Bar]] = []
    lane_of: dict[int, int] = {}
    for bar in _bars(trace):
        parent = trace.parent(bar.span)
        parents_lane = lane_of.get(parent.span_id, 0) if parent else 0
        order = sorted(range(len(found)), key=lambda lane: lane != parents_lane)
        lane = next((one for one in order if _has_room(trace, opened[one], bar)), len(found))
        if lane == len(found):
            found.append([])
            opened.append([])
        lane_of[bar.span.span_id] = lane
        opened[lane].append(bar)
        found[lane].append(bar)
    return found


def _bars(trace: Trace) -> list[Bar]:
    """Return the spans by their start, those that enclose others first."""
    bars = [
        Bar(span, _us(trace, span.start_s), _us(trace, trace.end_of(span)))
        for span, _ in trace.walk()
    ]
    return sorted(bars, key=lambda bar: (bar.start_us, -bar.end_us))


def _us(trace: Trace, at_s: float) -> int:
    return max(round((at_s - trace.start_s) * 1e6), 0)


def _has_room(trace: Trace, opened: list[Bar], bar: Bar) -> bool:
    """Close what has ended in a lane when ``bar`` begins; whether ``bar`` fits upon the rest."""
    while opened and opened[-1].end_us <= bar.start_us:
        opened.pop()
    if not opened:
        return True
    above = trace.parent(bar.span)
    while above is not None and above is not opened[-1].span:
        above = trace.parent(above)
    return above is not None and opened[-1].end_us >= bar.end_us


def chrome_trace(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return runs in Chrome's trace format, a process each, ready for ``json.dumps``.

    A span is a complete event (``X``) with its attributes, status and whether the
    critical path went through it.
    """
    events: list[dict[str, Any]] = []
    for process, trace in enumerate(traces, 1):
        events.append(_named("process_name", process, 0, _title(trace)))
        on_path = {segment.span.span_id for segment in critical_path(trace)}
        for thread, lane in enumerate(lanes(trace), 1):
            events.append(_named("thread_name", process, thread, f"lane {thread}"))
            events += [
                {
                    "ph": "X",
                    "name": bar.span.name,
                    "cat": bar.span.kind,
                    "pid": process,
                    "tid": thread,
                    "ts": bar.start_us,
                    "dur": bar.end_us - bar.start_us,
                    "args": {
                        **bar.span.attributes,
                        "span_id": bar.span.span_id,
                        "status": bar.span.status,
                        "is_critical": bar.span.span_id in on_path,
                    },
                }
                for bar in lane
            ]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}


def _title(trace: Trace) -> str:
    return " ".join(part for part in (trace.run.app, trace.run.mode, trace.run.run_id) if part)


def speedscope(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return runs as a speedscope file, a profile for each lane, ready for ``json.dumps``."""
    frames: dict[str, int] = {}
    profiles = []
    for trace in traces:
        for number, lane in enumerate(lanes(trace), 1):
            events = [
                {"type": type_, "at": at_us, "frame": frames.setdefault(name, len(frames))}
                for type_, at_us, name in _turns(lane)
            ]
            profiles.append(
                {
                    "type": "evented",
                    "name": f"{_title(trace)} lane {number}",
                    "unit": "microseconds",
                    "startValue": 0,
                    "endValue": max(_us(trace, trace.end_s), *(bar.end_us for bar in lane)),
                    "events": events,
                }
            )
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": ", ".join(_title(trace) for trace in traces),
        "exporter": f"hasten {version('hasten')}",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": profiles,
    }


def _turns(lane: Sequence[Bar]) -> Iterator[tuple[str, int, str]]:
    """Yield the openings (``O``) and closings (``C``) of a lane in order of time."""
    opened: list[Bar] = []
    for bar in lane:
        while opened and opened[-1].end_us <= bar.start_us:
            yield "C", opened[-1].end_us, _frame(opened.pop())
        yield "O", bar.start_us, _frame(bar)
        opened.append(bar)
    while opened:
        yield "C", opened[-1].end_us, _frame(opened.pop())


def _frame(bar: Bar) -> str:
    return f"{bar.span.name} ({bar.span.kind})"
