"""The log lines: their shapes, their sums, and what is never in them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from hypothesis import given

from hasten import virtual
from hasten.clock import current_clock
from hasten.trace.critical import breakdown
from hasten.trace.event import RunEvent
from hasten.trace.phase import phase_totals
from hasten.trace.recorder import Recorder, emit_text, enter_run, span
from hasten.trace.span import Span
from hasten.trace.textlog import (
    TextLog,
    cache_line,
    perf_summary,
    phase_line,
    summary_line,
    tool_line,
)
from tests.trace.making import START_S, run_of, sleep, trace_of, traces

if TYPE_CHECKING:
    import pytest

    from hasten.trace.tree import Trace

WHO = {"run_id": "r1", "user_id": "ann"}


def baseline() -> Trace:
    """Make a sequential run with the times of discovery's plan, 0.1, shortened to two tasks."""
    return trace_of(
        (1, "step", "profile", 0.123, 18.456, {"phase": "profile_analysis"}),
        (2, "model", "sim", 0.123, 18.456, {"tokens_in": 900}),
        (1, "step", "research", 18.5, 52.1, {"phase": "idea_research"}),
        (4, "tool", "trends", 18.5, 25.2, {"params": {"interest_area": "AI / Automation"}}),
        (4, "tool", "rivals", 25.2, 30.4, {"params": {"interest_area": "AI"}, "cache_hit": True}),
        (4, "model", "sim", 30.4, 52.1, {}),
        (1, "step", "read files", 52.2, 52.45, {"phase": "file_io"}),
        (1, "storage", "save", 52.5, 52.65, {"phase": "db_write"}),
        duration_s=52.7,
    )


def test_the_line_of_a_phase() -> None:
    """Every field of the plan's Location 1 and 3, and no other."""
    trace = baseline()
    profile, research, *_ = (phase_line(trace.run, totals) for totals in phase_totals(trace))
    assert profile == {
        "event": "discovery_timing",
        **WHO,
        "phase": "profile_analysis",
        "start_time": "2026-01-01T00:00:00.123Z",
        "end_time": "2026-01-01T00:00:18.456Z",
        "duration_ms": 18_333,
        "llm_calls": 1,
        "tool_calls": 0,
    }
    assert research == {
        "event": "discovery_timing",
        **WHO,
        "phase": "idea_research",
        "start_time": "2026-01-01T00:00:18.500Z",
        "end_time": "2026-01-01T00:00:52.100Z",
        "duration_ms": 33_600,
        "llm_calls": 1,
        "tool_calls": 2,
        "tool_breakdown": {"trends": 6_700, "rivals": 5_200},
    }


def test_the_line_of_assembly_and_saving() -> None:
    """Location 5 and 6: reading files and saving tell their time only."""
    trace = baseline()
    line = phase_line(trace.run, phase_totals(trace)[2])
    assert line == {
        "event": "discovery_timing",
        **WHO,
        "phase": "file_io",
        "start_time": "2026-01-01T00:00:52.200Z",
        "end_time": "2026-01-01T00:00:52.450Z",
        "duration_ms": 250,
    }


def test_the_line_of_a_tool_call() -> None:
    """Location 2: the parameters it declares, and whether a cache answered."""
    trace = baseline()
    assert tool_line(trace.run, trace.spans[4]) == {
        "event": "discovery_timing",
        **WHO,
        "phase": "tool_call",
        "tool_name": "trends",
        "tool_params": {"interest_area": "AI / Automation"},
        "start_time": "2026-01-01T00:00:18.500Z",
        "end_time": "2026-01-01T00:00:25.200Z",
        "duration_ms": 6_700,
        "cache_hit": False,
    }
    assert tool_line(trace.run, trace.spans[5])["cache_hit"] is True


def test_the_line_of_a_run() -> None:
    """The summary of 0.2, its breakdown in the plan's order."""
    trace = baseline()
    line = summary_line(trace, breakdown(trace))
    assert line == {
        "event": "discovery_timing_summary",
        **WHO,
        "total_duration_ms": 52_700,
        "breakdown": {
            "profile_analysis": 18_333,
            "idea_research": 33_600,
            "file_io": 250,
            "db_write": 150,
            "overhead": 367,
        },
        "tool_calls_total": 2,
        "llm_calls_total": 2,
        "cache_hits": 1,
    }
    assert list(line["breakdown"])[-3:] == ["file_io", "db_write", "overhead"]


def test_assembly_and_saving_are_always_told() -> None:
    """A run that did neither says so with zeros, so that every line has one shape."""
    trace = trace_of((1, "step", "s", 0, 10, {}))
    line = summary_line(trace, breakdown(trace))
    assert line["breakdown"] == {"s": 10_000, "file_io": 0, "db_write": 0, "overhead": 0}


def test_the_one_line_summary() -> None:
    """The fortune plan's line, with percentages that add up to 100."""
    trace = trace_of(
        (1, "step", "rag", 0, 1.045, {"phase": "RAG"}),
        (1, "step", "llm", 1.045, 36.866, {"phase": "LLM"}),
        (1, "step", "check", 36.866, 37.1, {"phase": "Validation"}),
        duration_s=37.458,
        run_id="abc123",
    )
    assert perf_summary(trace, breakdown(trace)) == (
        "[PERF_SUMMARY] Task abc123: Total=37458ms | RAG=1045ms (3%) | LLM=35821ms (96%)"
        " | Validation=234ms (0%) | Other=358ms (1%)"
    )


def test_the_lines_of_the_cache() -> None:
    """The fortune plan's, with the rate so far and what a hit saves."""
    told: list[str] = []
    log = TextLog(told.append)
    params = {"deity_id": "yue_lao", "fortune_number": 1}
    miss = {"params": params, "use": "poem", "result": "miss"}
    hit = miss | {"result": "hit", "cache_hit": True, "saved_ms": 1_000.0}

    async def main() -> None:
        run = run_of("abc123", started_s=0, ended_s=None)
        recorder = Recorder(run, current_clock())
        recorder.listeners.append(log)
        enter_run(recorder)
        names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")
        recorder.emit("run.started", 1, {name: getattr(run, name) for name in names})
        for attributes in (miss, hit, miss, hit):
            with span("tool", "poem", **attributes):
                pass

    virtual.run(main())
    assert [line for line in told if line.startswith("[CACHE")] == [
        "[CACHE_MISS] Poem YueLao_1 (hit rate: 0.0%)",
        "[CACHE_HIT] Poem YueLao_1 (hit rate: 50.0%, saves ~1s)",
        "[CACHE_MISS] Poem YueLao_1 (hit rate: 33.3%)",
        "[CACHE_HIT] Poem YueLao_1 (hit rate: 50.0%, saves ~1s)",
    ]


def test_a_parameter_makes_no_line_of_its_own() -> None:
    """What a caller says is not taken for what the log says."""
    params = {"city": "Oslo\nHIT all \ud800"}
    one = Span(2, 1, "tool", "search", START_S, START_S + 1, attributes={"params": params})
    assert cache_line(one, 0.0) == "[CACHE_MISS] Search Oslo?HIT all ? (hit rate: 0.0%)"


@given(traces())
def test_every_breakdown_adds_up(trace: Trace) -> None:
    """Whatever the spans, the rounded parts and the rest are the rounded total."""
    line = summary_line(trace, breakdown(trace))
    assert sum(line["breakdown"].values()) == line["total_duration_ms"]
    json.loads(json.dumps(line))
    for totals in phase_totals(trace):
        assert phase_line(trace.run, totals)["duration_ms"] >= 0


def lines_of(lines: list[str]) -> list[dict[str, Any]]:
    """Read the JSON lines."""
    return [json.loads(line) for line in lines if line.startswith("{")]


async def two_runs(log: TextLog) -> None:
    """Run two runs of one application at once, both heard by one log."""

    async def one(run_id: str) -> None:
        clock = current_clock()
        run = run_of(run_id, started_s=clock.now(), ended_s=None)
        recorder = Recorder(run, clock)
        recorder.listeners.append(log)
        enter_run(recorder)
        names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")
        recorder.emit("run.started", 1, {name: getattr(run, name) for name in names})
        with span("step", "research", phase="idea_research"):
            with span("tool", "trends", params={"area": run_id}):
                await sleep(2)
            with span("model", "sim", prompt="my secret question") as here:
                emit_text("intro", "my secret answer")
                await sleep(3)
                here.set(error={"code": "x", "message": "my secret mishap"})
        with span("storage", "save", phase="db_write"):
            await sleep(0.5)
        recorder.finish_span(recorder.root, "ok")
        recorder.emit("run.finished", 1, {"status": "complete"})

    await asyncio.gather(one("first"), one("second"))


def test_lines_are_written_as_things_end() -> None:
    """Each tool when it ends, the rest of a run when that ends."""
    told: list[tuple[float, str]] = []

    async def main() -> None:
        await two_runs(TextLog(lambda line: told.append((current_clock().monotonic(), line))))

    virtual.run(main())
    for run_id in ("first", "second"):
        lines = [(at_s, line) for at_s, line in told if f"{run_id}" in line]
        assert [at_s for at_s, _ in lines] == [2, *[5.5] * 6]
        tool, research, saving, summary = lines_of([line for _, line in lines])
        assert (tool["tool_name"], tool["tool_params"]) == ("trends", {"area": run_id})
        assert (research["phase"], research["duration_ms"]) == ("idea_research", 5_000)
        assert (saving["phase"], saving["duration_ms"]) == ("db_write", 500)
        assert summary["breakdown"] == {
            "idea_research": 5_000,
            "file_io": 0,
            "db_write": 500,
            "overhead": 0,
        }
        assert f"[PERF] idea_research completed in 5000ms (Task {run_id})" in [
            one[1] for one in lines
        ]
        assert lines[-1][1].startswith(f"[PERF_SUMMARY] Task {run_id}: Total=5500ms | ")
        assert {one["user_id"] for one in (tool, research, saving, summary)} == {"ann"}


def test_nothing_free_is_written() -> None:
    """Prompts, answers, errors and undeclared attributes are nobody's business in a log."""
    lines: list[str] = []
    virtual.run(two_runs(TextLog(lines.append)))
    assert lines
    assert "secret" not in "".join(lines)


def test_a_log_forgets_a_run_that_is_over() -> None:
    """A server's log holds only the runs that go on; strangers' events are passed over."""
    lines: list[str] = []
    log = TextLog(lines.append)
    virtual.run(two_runs(log))
    assert log._runs == {}

    async def unannounced() -> None:
        recorder = Recorder(run_of(started_s=current_clock().now()), current_clock())
        recorder.listeners.append(log)
        recorder.finish_span(recorder.root, "ok")
        recorder.emit("run.finished", 1, {})

    before = len(lines)
    virtual.run(unannounced())
    assert len(lines) == before


def test_a_line_is_one_line_whatever_a_parameter_holds() -> None:
    """Newlines and broken text are escaped, so nobody writes lines in another's name."""
    odd = 'x\n{"event": "forged"}\r\u2028\ud800 漢'
    trace = trace_of((1, "tool", "t", 0, 1, {"params": {"area": odd}}))
    text = json.dumps(tool_line(trace.run, trace.spans[1]))
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["tool_params"] == {"area": odd}


def test_a_logger_takes_the_lines_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """``logging`` is one place to write to; a per cent sign is no format."""
    with caplog.at_level(logging.INFO):
        virtual.run(two_runs(TextLog(logging.getLogger("hasten.timing").info)))
    assert len(lines_of([one.getMessage() for one in caplog.records])) == 8
    assert any("(91%)" in one.getMessage() for one in caplog.records)


def test_a_run_that_ends_elsewhere_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's attempt may be its last here: what was kept of it goes when others have begun."""
    monkeypatch.setattr("hasten.trace.textlog.OPEN_RUNS", 2)
    told: list[str] = []
    log = TextLog(told.append)
    names = ("app", "graph", "mode", "tenant", "user", "clock", "speed", "simulated")
    headline = {name: getattr(run_of(), name) for name in names}
    for run_id in ("r1", "r2", "r3"):
        log(RunEvent(run_id, "run.started", START_S, data=headline))
    for run_id in ("r1", "r3"):
        log(RunEvent(run_id, "run.finished", START_S + 1.0, data={}))
    assert ["r3" in line for line in told if line.startswith("[PERF_SUMMARY]")] == [True]
