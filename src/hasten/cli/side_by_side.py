"""Runs side by side: the race's figures, and its picture in the terminal.

Owns ``race_of`` (the JSON of ``hasten run --json``) and drawing waterfalls.
Leaves what is critical, and where a bar stands, to ``trace``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hasten.cli.terminal import seconds
from hasten.trace.critical import critical_path
from hasten.trace.phase import phase_totals
from hasten.trace.tree import Trace
from hasten.trace.waterfall import WaterfallRow, waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hasten.graph.outcome import Outcome
    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

SCHEMA = "hasten.race/1"
NAME_CELLS = 32
LEAST_CELLS = 10
COLOURS = {
    "run": "white",
    "step": "cyan",
    "tool": "yellow",
    "model": "magenta",
    "cache": "green",
    "queue": "bright_black",
    "storage": "blue",
}


def race_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the race: a row a run, and how many times faster the last is than the first.

    Times are seconds on the runs' clock. ``speedup`` is ``None`` for a single
    run or when one of them did not come through.
    """
    first = outcomes[0]
    return {
        "schema": SCHEMA,
        "app": first.record.app,
        "clock": first.record.clock,
        "simulated": first.record.simulated,
        "inputs": first.record.inputs,
        "runs": [_run(outcome) for outcome in outcomes],
        "speedup": _speedup(outcomes),
    }


def _speedup(outcomes: Sequence[Outcome]) -> float | None:
    first_s, last_s = outcomes[0].record.duration_s, outcomes[-1].record.duration_s
    is_race = len(outcomes) > 1 and all(outcome.error is None for outcome in outcomes)
    return round(first_s / last_s, 3) if is_race and last_s else None


def _run(outcome: Outcome) -> dict[str, Any]:
    record, trace = outcome.record, Trace(outcome.record, outcome.spans)
    return {
        "run_id": outcome.run_id,
        "mode": record.mode,
        "outcome": outcome.status,
        "degraded_by": list(outcome.degraded_by),
        "error": record.error,
        "duration_s": round(record.duration_s, 3),
        "first_text_s": record.first_text_s and round(record.first_text_s, 3),
        "llm_calls": record.llm_calls,
        "tool_calls": record.tool_calls,
        "tokens_in": record.tokens_in,
        "tokens_out": record.tokens_out,
        "cost_usd": round(record.cost_usd, 6),
        "critical_path": [
            {
                "name": segment.span.name,
                "kind": segment.span.kind,
                "phase": trace.phase_of(segment.span),
                "start_s": round(segment.start_s - trace.start_s, 3),
                "duration_s": round(segment.duration_s, 3),
            }
            for segment in critical_path(trace)
        ],
        "phases": [
            {
                "phase": totals.phase,
                "start_s": round(totals.start_s - trace.start_s, 3),
                "duration_s": round(totals.duration_ms / 1e3, 3),
                "critical_s": round(totals.critical_ms / 1e3, 3),
                "llm_calls": totals.llm_calls,
                "tool_calls": totals.tool_calls,
            }
            for totals in phase_totals(trace)
        ],
        "reuse": record.reuse,
        "outputs": record.outputs,
    }


def draw_race(outcomes: Sequence[Outcome], to: Console) -> None:
    """Draw every run on one time axis, then the figures side by side."""
    records = [outcome.record for outcome in outcomes]
    draw_waterfalls([(outcome.record, outcome.spans) for outcome in outcomes], to)
    draw_figures(records, to)
    speedup = _speedup(outcomes)
    if speedup is not None:
        kind = "simulated seconds" if records[0].simulated else "seconds"
        text = f"[bold]{speedup:.1f}×[/bold] as fast [dim]({kind}, {records[0].clock} clock)[/dim]"
        to.print(text)


def draw_waterfalls(runs: Sequence[tuple[RunRecord, Sequence[Span]]], to: Console) -> None:
    """Draw runs below each other, all on the time axis of the longest."""
    traces = [Trace(record, spans) for record, spans in runs]
    longest_s = max(trace.duration_s for trace in traces)
    drawn = [_rows(trace, longest_s) for trace in traces]
    every = [row for rows in drawn for row in rows]
    names = min(max(2 * row.depth + len(row.name) for row in every), NAME_CELLS)
    labels = max(len(row.label) for row in every)
    cells = max(to.width - names - labels - 3, LEAST_CELLS)
    for trace, rows in zip(traces, drawn, strict=True):
        _draw_head(trace.run, to)
        for row in rows:
            to.print(_line(row, names, cells), no_wrap=True, overflow="crop")
        _draw_trouble(trace.run, to)
        to.print()


def draw_figures(records: Sequence[RunRecord], to: Console) -> None:
    """Draw a table with a row a run: time, calls, tokens, money."""
    table = Table(box=None, pad_edge=False)
    for heading in ("mode", "time", "first text", "model calls", "tools", "tokens", "cost"):
        table.add_column(heading, justify="left" if heading == "mode" else "right")
    for record in records:
        table.add_row(
            record.mode,
            seconds(record.duration_s),
            seconds(record.first_text_s),
            str(record.llm_calls),
            str(record.tool_calls),
            f"{record.tokens_in:,} + {record.tokens_out:,}",
            f"${record.cost_usd:.4f}",
        )
    to.print(table)


def _draw_head(record: RunRecord, to: Console) -> None:
    head = Text.assemble((f"{record.app} ", "bold"), (record.mode, "bold cyan"))
    head.append(f"  {record.status}", "dim")
    if record.ended_s is not None:
        head.append(f"  {seconds(record.duration_s)}", "dim")
    if record.reuse.get("cached"):
        head.append(f"  reused from {record.reuse['source_run_id']}", "green")
    elif record.reuse.get("cached_components"):
        head.append(f"  {record.reuse['fresh_share']:.0%} of it fresh", "green")
    to.print(head)


def _draw_trouble(record: RunRecord, to: Console) -> None:
    for reason in record.degraded_by:
        to.print(Text(f"  degraded: {reason}", "yellow"))
    if record.error is not None:
        to.print(Text(f"  {record.error['message']}", "red"))


def _rows(trace: Trace, axis_s: float) -> list[WaterfallRow]:
    """Return the bars to draw: a model call that is all its step does is in the step's."""
    alone = {
        span.span_id
        for span in trace.spans
        if span.kind == "model"
        and (parent := trace.parent(span)) is not None
        and len(trace.children(parent)) == 1
    }
    return [row for row in waterfall(trace, scale_s=axis_s) if row.span_id not in alone]


def _line(row: WaterfallRow, names: int, cells: int) -> Text:
    name = f"{'  ' * row.depth}{row.name}"
    if len(name) > names:
        name = f"{name[: names - 1]}…"
    before = round(row.start * cells)
    length = max(round(row.width * cells), 1)
    line = Text(f"{name:<{names}} ")
    line.append(" " * before)
    line.append(("━" if row.is_critical else "─") * length, COLOURS[row.kind])
    line.append(f" {row.label}", "bold" if row.is_critical else "dim")
    return line
