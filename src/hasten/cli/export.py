"""``hasten export``: a run's trace as a file other tools open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import typer

from hasten.cli.terminal import err, stored_run, write_json
from hasten.trace.export import chrome_trace, speedscope
from hasten.trace.tree import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS: dict[str, tuple[Callable[..., object], str]] = {
    "chrome": (chrome_trace, "ui.perfetto.dev or chrome://tracing"),
    "speedscope": (speedscope, "speedscope.app"),
}


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("export", help=what)(export)


def export(
    run_id: Annotated[str, typer.Argument(help="The run.")],
    format_: Annotated[
        Literal["chrome", "speedscope"], typer.Option("--format", help="Which tool's format.")
    ] = "chrome",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
) -> None:
    """Write the trace to a file, or to standard output."""
    record, spans = stored_run(run_id)
    writer, viewer = WRITERS[format_]
    trace = writer([Trace(record, spans)])
    if output is None:
        write_json(trace)
        return
    output.write_bytes(orjson.dumps(trace))
    err.print(f"wrote {output}; open it in {viewer}")
