"""``hasten runs``: the runs there were, and one of them with its waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from hasten.cli.race import draw_run
from hasten.cli.terminal import AsJson, out, seconds, stored_run, with_runtime, write_json
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from hasten.trace.event import RunRecord


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("runs", help=what)(runs)


def runs(
    run_id: Annotated[str | None, typer.Argument(help="Show this run.")] = None,
    app: Annotated[str | None, typer.Option(help="Only of this application.")] = None,
    mode: Annotated[str | None, typer.Option(help="Only in this mode.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first, or show one."""
    if run_id is not None:
        _show(run_id, as_json=as_json)
        return
    which = RunFilter(app=app, mode=mode, limit=limit)
    found: list[RunRecord] = with_runtime(lambda runtime: runtime.runs(which))
    if as_json:
        write_json([msgspec.to_builtins(run) for run in found])
        return
    table = Table("run", "app", "mode", "outcome", "time", "clock", "calls", "cost", box=None)
    for run in found:
        clock = run.clock if run.speed == 1 else f"{run.clock} ×{run.speed:g}"
        calls = f"{run.llm_calls} + {run.tool_calls}"
        cost = f"${run.cost_usd:.4f}"
        time = seconds(run.duration_s)
        table.add_row(run.run_id, run.app, run.mode, run.status, time, clock, calls, cost)
    out.print(table)


def _show(run_id: str, *, as_json: bool) -> None:
    record, spans = stored_run(run_id)
    if as_json:
        write_json({**msgspec.to_builtins(record), "spans": msgspec.to_builtins(spans)})
    else:
        draw_run(record, spans)
