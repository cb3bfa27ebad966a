"""``hasten runs``: the runs there were, and one of them with its waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from hasten.cli.side_by_side import draw_figures, draw_waterfalls
from hasten.cli.terminal import (
    AsJson,
    ago,
    err,
    out,
    seconds,
    stored_run,
    with_runtime,
    write_json,
)
from hasten.trace.log import RunFilter
from hasten.trace.recorder import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

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
    """List runs, newest first, or show one; one whose process was killed was interrupted."""
    if run_id is not None:
        _show(run_id, as_json=as_json)
        return
    which = RunFilter(app=app, mode=mode, limit=limit)
    found = with_runtime(lambda runtime: runtime.runs(which), apps={})
    if as_json:
        write_json([_plain(run) for run in found])
    elif found:
        _list(found)
    else:
        err.print("no runs yet; hasten run makes one")


def _list(found: Sequence[RunRecord]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True)
    for heading in ("app", "mode", "outcome"):
        table.add_column(heading)
    for heading in ("time", "clock", "started"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in found:
        clock = run.clock if run.speed == 1 else f"{run.clock} ×{run.speed:g}"
        time = seconds(None if run.ended_s is None else run.duration_s)
        outcome = "interrupted" if run.error == INTERRUPTED else run.status
        table.add_row(run.run_id, run.app, run.mode, outcome, time, clock, ago(run.started_s))
    out.print(table)


def _show(run_id: str, *, as_json: bool) -> None:
    record, spans = stored_run(run_id)
    if as_json:
        write_json({**_plain(record), "spans": msgspec.to_builtins(spans)})
    else:
        draw_waterfalls([(record, spans)], out)
        draw_figures([record], out)


def _plain(run: RunRecord) -> dict[str, Any]:
    return {**msgspec.to_builtins(run), "duration_s": run.duration_s}
