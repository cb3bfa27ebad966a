"""``hasten analyze``: over past runs, where the time goes and what changed.

Owns which runs are looked at and the figures drawn from them. Leaves the
arithmetic to ``trace`` and the written report to ``document``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.table import Table

from hasten.cli.document import as_html, as_markdown, figure
from hasten.cli.terminal import AsJson, err, out, seconds, with_runtime, write_json
from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotFound
from hasten.trace.compare import Change, compare
from hasten.trace.log import RunFilter
from hasten.trace.report import (
    Bottleneck,
    RepeatedCall,
    RunTimes,
    bottlenecks,
    by_kind,
    repeated_calls,
    run_times,
)
from hasten.trace.tree import Trace

if TYPE_CHECKING:
    from hasten.wire import Runtime

TOP = 12
EARLIER = "earlier"
UNIT_S = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


class Analysis(msgspec.Struct, kw_only=True):
    """What the runs of one kind say; ``against`` and ``changes`` when two groups are compared."""

    app: str
    mode: str
    now: RunTimes
    bottlenecks: list[Bottleneck]
    repeated: list[RepeatedCall]
    against_name: str = ""
    against: RunTimes | None = None
    changes: list[Change] = msgspec.field(default_factory=list)


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("analyze", help=what)(analyze)


def analyze(
    app: Annotated[str, typer.Option(help="The application.")] = "discovery",
    mode: Annotated[str, typer.Option(help="The mode to look at.")] = "hasten",
    since: Annotated[str | None, typer.Option(help="Only runs of the last 30m, 24h, 7d, …")] = None,
    against: Annotated[
        str | None, typer.Option("--compare", help="A mode, or 'earlier': before --since.")
    ] = None,
    report: Annotated[
        Literal["md", "html"] | None, typer.Option(help="Write a report in this form.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Its file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank what adds to the critical path, and say what got slower, costlier or less reused."""
    since_s = None if since is None else current_clock().now() - duration_s(since)
    if against == EARLIER and since_s is None:
        message = "--compare earlier needs --since: it splits the runs in two"
        raise InvalidInput(message, field="--since")
    found = with_runtime(lambda runtime: _analysis(runtime, app, mode, since_s, against))
    if as_json:
        write_json(msgspec.to_builtins(found))
    elif report is not None:
        file = output or Path(f"{app}-report.{report}")
        text = as_markdown(found) if report == "md" else as_html(found)
        file.write_text(text, encoding="utf-8")
        err.print(f"wrote {file}")
    else:
        _draw(found)


def duration_s(text: str) -> float:
    """Return the seconds in ``30m``, ``24h``, ``7d`` or ``2w``. Raises ``InvalidInput``."""
    match = re.fullmatch(r"(\d+)([mhdw])", text)
    if match is None:
        message = f"--since takes a number and m, h, d or w, such as 24h, not {text!r}"
        raise InvalidInput(message, field="--since", value=text)
    return int(match[1]) * UNIT_S[match[2]]


async def _analysis(
    runtime: Runtime, app: str, mode: str, since_s: float | None, against: str | None
) -> Analysis:
    now = await _traces(runtime, RunFilter(app=app, mode=mode, since_s=since_s))
    found = Analysis(
        app=app,
        mode=mode,
        now=run_times(now),
        bottlenecks=bottlenecks(now)[:TOP],
        repeated=repeated_calls(now)[:TOP],
    )
    if against is not None:
        which = (
            RunFilter(app=app, mode=mode, before_s=since_s)
            if against == EARLIER
            else RunFilter(app=app, mode=against, since_s=since_s)
        )
        kind = now[0].run
        before = await _traces(
            runtime,
            msgspec.structs.replace(
                which, clock=kind.clock, speed=kind.speed, simulated=kind.simulated
            ),
        )
        found.against_name = against
        found.against = run_times(before)
        found.changes = compare(before, now)
    return found


async def _traces(runtime: Runtime, which: RunFilter) -> list[Trace]:
    """Return the runs that came through, of the kind most of them are of."""
    records = [run for run in await runtime.runs(which) if run.status in ("complete", "degraded")]
    if not records:
        message = f"no runs of {which.app} in mode {which.mode} yet: hasten run {which.app}"
        raise NotFound(message)
    traces = [Trace(run, await runtime.sink.spans(run.run_id)) for run in records]
    return next(iter(by_kind(traces).values()))


def _draw(found: Analysis) -> None:
    what = f"{found.now.total.count} runs, {found.now.kind}"
    out.print(f"[bold]{found.app} {found.mode}[/bold]  [dim]{what}[/dim]")
    table = _table("phase", "P50", "P95", "P99")
    for phase, spread in {"whole run": found.now.total, **found.now.phases}.items():
        times = (spread.p50_ms, spread.p95_ms, spread.p99_ms)
        table.add_row(phase, *(seconds(ms / 1e3) for ms in times))
    out.print(table, "")
    table = _table("bottleneck", "on the critical path", "share", "slack", "takes")
    for one in found.bottlenecks:
        table.add_row(
            f"{one.kind} {one.name}",
            seconds(one.critical_ms / 1e3),
            f"{one.share:.0%}",
            seconds(one.slack_ms / 1e3),
            seconds(one.duration_ms / 1e3),
        )
    out.print(table, "")
    for call in found.repeated:
        params = ", ".join(map(str, call.params.values()))
        lost = seconds(call.repeated_ms / 1e3)
        out.print(f"repeated: {call.tool}({params}) {call.calls}× over {call.runs} runs, {lost}")
    if found.changes:
        _draw_changes(found)


def _draw_changes(found: Analysis) -> None:
    table = _table("what", f"in {found.against_name}", f"in {found.mode}", "verdict")
    for change in found.changes:
        figures = (figure(change, value) for value in (change.before, change.after))
        colour = "red" if change.weight > 0 else "green"
        table.add_row(change.subject, *figures, f"[{colour}]{change.verdict}[/{colour}]")
    out.print(table)


def _table(first: str, *others: str) -> Any:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
