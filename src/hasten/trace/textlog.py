"""Timing lines for a log file: one JSON object a line, and a one-line summary.

Owns their shapes: ``<app>_timing`` for each tool call as it ends and for each
phase, ``<app>_timing_summary`` and ``[PERF_SUMMARY]`` at the end of a run, and beside
them the fortune plan's lines for people: ``[CACHE_HIT]``, ``[CACHE_MISS]``, ``[PERF]``.
Leaves the figures to ``phase`` and ``critical``, and where lines go to whoever
makes a ``TextLog``: ``wire`` hands it to every run as a listener. A phase may
have steps to come until the run ends, so its line is written then. Nothing
free is ever written: names, numbers, times, and the parameters a tool declares.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from hasten.trace.critical import OVERHEAD, breakdown
from hasten.trace.event import RunRecord
from hasten.trace.phase import phase_totals
from hasten.trace.span import Span
from hasten.trace.tree import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.trace.critical import Breakdown
    from hasten.trace.event import RunEvent
    from hasten.trace.phase import PhaseTotals

LAST_PHASES = ("file_io", "db_write")
"""Assembly and saving: every summary tells of both, after the application's own phases."""

OPEN_RUNS = 2_000
"""So many runs are waited for to end: one that another process goes on with never does here."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class TextLog:
    """A listener that passes each line to ``write``, such as a logger's ``info``."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._runs: dict[str, tuple[RunRecord, list[Span]]] = {}
        self._looked_up: Counter[tuple[str, bool]] = Counter()

    def __call__(self, event: RunEvent) -> None:
        """Take one event of any run; those of a run come in order."""
        if event.type == "run.started":
            told = {"run_id": event.run_id, "started_s": event.at_s, **event.data}
            self._runs[event.run_id] = msgspec.convert(told, RunRecord), []
            if len(self._runs) > OPEN_RUNS:
                del self._runs[next(iter(self._runs))]
        elif event.type == "span.finished" and event.run_id in self._runs:
            run, spans = self._runs[event.run_id]
            spans.append(msgspec.convert({"span_id": event.span_id, **event.data}, Span))
            self._write_span(run, spans[-1])
        elif event.type == "run.finished" and event.run_id in self._runs:
            self._write_end(Trace(*self._runs.pop(event.run_id)))

    def _write_span(self, run: RunRecord, span: Span) -> None:
        if span.kind == "tool":
            self._write(json.dumps(tool_line(run, span)))
        if span.kind in {"tool", "step"} and "result" in span.attributes:
            is_hit = bool(span.attributes.get("cache_hit"))
            self._looked_up[span.name, is_hit] += 1
            hits, misses = (self._looked_up[span.name, one] for one in (True, False))
            self._write(cache_line(span, hits / (hits + misses)))

    def _write_end(self, trace: Trace) -> None:
        found = breakdown(trace)
        for totals in phase_totals(trace, found):
            line = phase_line(trace.run, totals)
            self._write(json.dumps(line))
            took = f"completed in {line['duration_ms']}ms (Task {trace.run.run_id})"
            self._write(f"[PERF] {totals.phase} {took}")
        self._write(json.dumps(summary_line(trace, found)))
        self._write(perf_summary(trace, found))


def tool_line(run: RunRecord, span: Span) -> dict[str, Any]:
    """Return the line of one tool call that has ended."""
    end_s = span.start_s if span.end_s is None else span.end_s
    return {
        **_who(run, f"{run.app}_timing"),
        "phase": "tool_call",
        "tool_name": span.name,
        "tool_params": span.attributes.get("params") or {},
        **_when(span.start_s, end_s),
        "cache_hit": bool(span.attributes.get("cache_hit")),
    }


def cache_line(span: Span, hit_rate: float) -> str:
    """Return for people what the cache had for one tool or step, ``hit_rate`` from 0 to 1.

    ``Poem YueLao_1`` is its name and the parameters it declares.
    """
    params = [str(value) for value in (span.attributes.get("params") or {}).values()]
    told = "_".join("".join(map(_capital, param.split("_"))) for param in params)
    about = "".join(one if one.isprintable() else "?" for one in told)  # a line stays one line
    name = f"{_capital(span.name)} {about}".rstrip()
    if not span.attributes.get("cache_hit"):
        return f"[CACHE_MISS] {name} (hit rate: {hit_rate:.1%})"
    saved_s = span.attributes.get("saved_ms", 0.0) / 1e3
    return f"[CACHE_HIT] {name} (hit rate: {hit_rate:.1%}, saves ~{saved_s:.3g}s)"


def phase_line(run: RunRecord, totals: PhaseTotals) -> dict[str, Any]:
    """Return the line of one phase; assembly and saving call nothing and tell no calls."""
    line = {
        **_who(run, f"{run.app}_timing"),
        "phase": totals.phase,
        **_when(totals.start_s, totals.end_s),
    }
    if totals.phase not in LAST_PHASES:
        line |= {"llm_calls": totals.llm_calls, "tool_calls": totals.tool_calls}
    if totals.tool_calls:
        line["tool_breakdown"] = {
            name: round(took_ms) for name, took_ms in totals.tool_breakdown.items()
        }
    return line


def summary_line(trace: Trace, found: Breakdown) -> dict[str, Any]:
    """Return the line of a whole run; its ``breakdown`` adds up to ``total_duration_ms``."""
    parts_ms = found.in_ms()
    last = {name: parts_ms.pop(name, 0) for name in (*LAST_PHASES, OVERHEAD)}
    kinds = [span.kind for span in trace.spans]
    return {
        **_who(trace.run, f"{trace.run.app}_timing_summary"),
        "total_duration_ms": found.total_ms,
        "breakdown": parts_ms | last,
        "tool_calls_total": kinds.count("tool"),
        "llm_calls_total": kinds.count("model"),
        "cache_hits": sum(1 for span in trace.spans if span.attributes.get("cache_hit")),
    }


def perf_summary(trace: Trace, found: Breakdown) -> str:
    """Return a run in one line for people: total, phases and the rest, with percentages."""
    shares = found.in_percent()
    parts = [
        f"{'Other' if name == OVERHEAD else name}={took_ms}ms ({shares[name]}%)"
        for name, took_ms in found.in_ms().items()
    ]
    total = f"[PERF_SUMMARY] Task {trace.run.run_id}: Total={found.total_ms}ms"
    return " | ".join([total, *parts])


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _who(run: RunRecord, event: str) -> dict[str, Any]:
    return {"event": event, "run_id": run.run_id, "user_id": run.user}


def _when(start_s: float, end_s: float) -> dict[str, Any]:
    """Return the times to the millisecond, and the difference of just these."""
    start_ms, end_ms = round(start_s * 1e3), round(end_s * 1e3)
    return {
        "start_time": _iso(start_ms),
        "end_time": _iso(end_ms),
        "duration_ms": end_ms - start_ms,
    }


def _iso(at_ms: int) -> str:
    moment = (_EPOCH + dt.timedelta(milliseconds=at_ms)).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"
