"""``hasten export``: a run's trace as a file other tools open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import typer

from hasten.cli.terminal import err, stored_run, write_file, write_json
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
    run_id: Annotated[str, typer.Argument(help="The run; hasten runs lists them.")],
    format_: Annotated[
        Literal["chrome", "speedscope"], typer.Option("--format", help="chrome or speedscope.")
    ] = "chrome",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
) -> None:
    """Write the trace to a file, or to standard output."""
    writer, viewer = WRITERS[format_]
    trace = writer([Trace(*stored_run(run_id))])
    if output is None:
        write_json(trace)
        return
    write_file(output, orjson.dumps(trace))
    err.print(f"open it in {viewer}")
