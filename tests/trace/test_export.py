"""Exports, held to the rules of their formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from hasten.trace.export import chrome_trace, lanes, speedscope
from tests.trace.making import trace_of, traces

if TYPE_CHECKING:
    from hasten.trace.tree import Trace


def check_chrome(document: dict[str, Any]) -> None:
    """Check a document against the "Trace Event Format": fields, types, naming, nesting.

    Bars of one thread must nest: "a complete event logically combines a pair of
    duration (B and E) events", and those must be closed in the order they were opened.
    """
    document = json.loads(json.dumps(document, allow_nan=False))
    assert document.keys() == {"traceEvents", "displayTimeUnit"}
    assert document["displayTimeUnit"] in {"ms", "ns"}
    threads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    named: set[tuple[str, int, int]] = set()
    for event in document["traceEvents"]:
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert isinstance(event["args"], dict)
        if event["ph"] == "M":
            assert event["name"] in {"process_name", "thread_name"}
            assert isinstance(event["args"]["name"], str)
            named.add((event["name"], event["pid"], event["tid"]))
            continue
        assert event.keys() == {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"}
        assert event["ph"] == "X"
        assert event["name"]
        assert isinstance(event["cat"], str)
        assert type(event["ts"]) is int
        assert type(event["dur"]) is int
        assert min(event["ts"], event["dur"]) >= 0
        bar = (event["ts"], event["ts"] + event["dur"])
        threads.setdefault((event["pid"], event["tid"]), []).append(bar)
    for (process, thread), bars in threads.items():
        assert ("process_name", process, 0) in named
        assert ("thread_name", process, thread) in named
        check_nesting(bars)


def check_nesting(bars: list[tuple[int, int]]) -> None:
    """Check that of any two bars, in the order given, one follows or encloses the other."""
    opened: list[int] = []
    last = 0
    for start, end in bars:
        assert start >= last
        last = start
        while opened and opened[-1] <= start:
            opened.pop()
        assert not opened or end <= opened[-1]
        opened.append(end)


def check_speedscope(document: dict[str, Any]) -> None:
    """Check a document against speedscope's file format.

    "Events must be ordered by 'at', and every opened frame must be closed, the
    one opened last first."
    """
    document = json.loads(json.dumps(document, allow_nan=False))
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert all(isinstance(frame["name"], str) and frame["name"] for frame in frames)
    assert len({frame["name"] for frame in frames}) == len(frames)
    assert 0 <= document["activeProfileIndex"] < len(document["profiles"])
    used: set[int] = set()
    for profile in document["profiles"]:
        assert profile["type"] == "evented"
        assert profile["unit"] == "microseconds"
        assert isinstance(profile["name"], str)
        at, opened = profile["startValue"], list[int]()
        for event in profile["events"]:
            assert event.keys() == {"type", "at", "frame"}
            assert event["at"] >= at
            at = event["at"]
            if event["type"] == "O":
                opened.append(event["frame"])
            else:
                assert event["type"] == "C"
                assert opened.pop() == event["frame"]
        assert opened == []
        assert at <= profile["endValue"]
        used |= {event["frame"] for event in profile["events"]}
    assert used == set(range(len(frames)))


def fan() -> Trace:
    """Make a run whose step asks three tools side by side, one of which outlasts it."""
    return trace_of(
        (1, "step", "research", 0, 6, {"phase": "idea_research"}),
        (2, "tool", "trends", 0, 4, {"params": {"area": "AI"}}),
        (2, "tool", "rivals", 0, 5, {}),
        (2, "tool", "size", 1, 3, {}),
        (2, "tool", "checks", 4, 6, {}),
        (2, "cache", "refresh", 5, 9, {}),
        (1, "step", "advise", 6, 10, {}),
    )


def names(trace: Trace) -> list[list[str]]:
    """Write the lanes as names."""
    return [[bar.span.name for bar in lane] for lane in lanes(trace)]


def test_side_by_side_work_gets_lanes_of_its_own() -> None:
    """Children lie upon their parent while there is room; lanes are used again."""
    assert names(fan()) == [
        ["report", "research", "rivals", "advise"],
        ["trends", "checks"],
        ["size", "refresh"],
    ]


def test_a_bar_lies_only_upon_what_it_is_inside_of() -> None:
    """A short call beside a long one is not drawn as if the long one had made it."""
    trace = trace_of((1, "tool", "long", 0, 9, {}), (1, "tool", "short", 1, 2, {}))
    assert names(trace) == [["report", "long"], ["short"]]


@given(traces())
def test_lanes_hold_every_span_once_and_nest(trace: Trace) -> None:
    """No two bars of a lane cross."""
    found = lanes(trace)
    ids = [bar.span.span_id for lane in found for bar in lane]
    assert sorted(ids) == [span.span_id for span in trace.spans]
    for lane in found:
        check_nesting([(bar.start_us, bar.end_us) for bar in lane])


@given(st.lists(traces(), min_size=1, max_size=3))
def test_both_formats_are_kept_whatever_the_spans(runs: list[Trace]) -> None:
    """Any runs make a valid document of each kind."""
    check_chrome(chrome_trace(runs))
    check_speedscope(speedscope(runs))


def test_chrome_carries_what_is_known_of_a_span() -> None:
    """Times since the run's start in microseconds, attributes, status, the critical path."""
    document = chrome_trace([fan(), fan()])
    found = [event for event in document["traceEvents"] if event["name"] == "trends"]
    assert [event["pid"] for event in found] == [1, 2]
    assert found[0] == {
        "ph": "X",
        "name": "trends",
        "cat": "tool",
        "pid": 1,
        "tid": 2,
        "ts": 0,
        "dur": 4_000_000,
        "args": {
            "params": {"area": "AI"},
            "span_id": 3,
            "status": "ok",
            "is_critical": True,
        },
    }
    titles = [
        event["args"]["name"]
        for event in document["traceEvents"]
        if event["name"] == "process_name"
    ]
    assert titles == ["discovery hasten r1"] * 2


def test_speedscope_has_a_profile_for_each_lane() -> None:
    """Its bars open and close in order; the same work has the same frame in every run."""
    document = speedscope([fan(), fan()])
    assert [profile["name"] for profile in document["profiles"][:3]] == [
        f"discovery hasten r1 lane {number}" for number in (1, 2, 3)
    ]
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    turns = [
        (event["type"], event["at"] // 1_000_000, frames[event["frame"]])
        for event in document["profiles"][1]["events"]
    ]
    assert turns == [
        ("O", 0, "trends (tool)"),
        ("C", 4, "trends (tool)"),
        ("O", 4, "checks (tool)"),
        ("C", 6, "checks (tool)"),
    ]
    assert document["profiles"][2]["endValue"] == 10_000_000
