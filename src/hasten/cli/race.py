"""Runs side by side: the race's figures, and its picture in the terminal.

Owns ``race_of`` (the JSON of ``hasten run --json``) and drawing waterfalls.
Leaves what is critical, and where a bar stands, to ``trace``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from hasten.cli.terminal import out, seconds
from hasten.trace.critical import critical_path
from hasten.trace.phase import phase_totals
from hasten.trace.tree import Trace
from hasten.trace.waterfall import WaterfallRow, waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.graph.run import Outcome
    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

SCHEMA = "hasten.race/1"
NAME_CELLS = 32
LABEL_CELLS = 9
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
    first, last = outcomes[0], outcomes[-1]
    is_race = len(outcomes) > 1 and all(outcome.error is None for outcome in outcomes)
    return {
        "schema": SCHEMA,
        "app": first.record.app,
        "clock": first.record.clock,
        "simulated": first.record.simulated,
        "inputs": first.record.inputs,
        "runs": [_run(outcome) for outcome in outcomes],
        "speedup": round(first.record.duration_s / last.record.duration_s, 3) if is_race else None,
    }


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
        "outputs": record.outputs,
    }


def draw_race(outcomes: Sequence[Outcome]) -> None:
    """Draw every run on one time axis, then the figures side by side."""
    longest_s = max(outcome.record.duration_s for outcome in outcomes)
    for outcome in outcomes:
        draw_run(outcome.record, outcome.spans, axis_s=longest_s)
    _draw_figures([outcome.record for outcome in outcomes])


def draw_run(record: RunRecord, spans: Sequence[Span], *, axis_s: float | None = None) -> None:
    """Draw one run's waterfall; ``axis_s`` is the time the full width stands for."""
    title = Text.assemble((f"{record.app} ", "bold"), (record.mode, "bold cyan"))
    title.append(f"  {record.status}  {seconds(record.duration_s)}", "dim")
    out.print(title)
    trace = Trace(record, spans)
    cells = max(out.width - NAME_CELLS - LABEL_CELLS, LABEL_CELLS)
    alone = _only_children(trace)
    for row in waterfall(trace, scale_s=axis_s):
        if row.span_id not in alone:
            out.print(_line(row, cells), no_wrap=True, overflow="crop")
    for reason in record.degraded_by:
        out.print(Text(f"  degraded: {reason}", "yellow"))
    if record.error is not None:
        out.print(Text(f"  {record.error['message']}", "red"))
    out.print()


def _only_children(trace: Trace) -> set[int]:
    """Return the model calls that are all their step does: the step's bar says it already."""
    return {
        span.span_id
        for span in trace.spans
        if span.kind == "model"
        and (parent := trace.parent(span)) is not None
        and len(trace.children(parent)) == 1
    }


def _line(row: WaterfallRow, cells: int) -> Text:
    name = f"{'  ' * row.depth}{row.name}"[:NAME_CELLS]
    before = round(row.start * cells)
    length = max(round(row.width * cells), 1)
    colour = COLOURS[row.kind]
    line = Text(f"{name:<{NAME_CELLS}} ")
    line.append(" " * before)
    line.append(("━" if row.is_critical else "─") * length, colour)
    line.append(f" {row.label}", "bold" if row.is_critical else "dim")
    return line


def _draw_figures(records: Sequence[RunRecord]) -> None:
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
    out.print(table)
    first, last = records[0], records[-1]
    if len(records) > 1 and last.duration_s:
        faster = first.duration_s / last.duration_s
        kind = "simulated seconds" if first.simulated else "seconds"
        out.print(f"[bold]{faster:.1f}×[/bold] as fast [dim]({kind}, {first.clock} clock)[/dim]")
