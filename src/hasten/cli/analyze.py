"""``hasten analyze``: over past runs, where the time goes and what changed.

Owns which runs are looked at. Leaves the arithmetic to ``trace`` and the
tables, on screen and in a report, to ``document``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from hasten.app import DEFAULT_APP, pick_app
from hasten.cli.document import Analysis, as_html, as_markdown, draw
from hasten.cli.terminal import AsJson, with_runtime, write_file, write_json
from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotFound
from hasten.trace.compare import compare
from hasten.trace.log import RunFilter
from hasten.trace.report import RunKind, bottlenecks, by_kind, repeated_calls, run_times
from hasten.trace.tree import Trace

if TYPE_CHECKING:
    from hasten.wire import Runtime

TOP = 12
EARLIER = "earlier"
UNIT_S = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
WRITERS = {"md": as_markdown, "html": as_html}

Groups = dict[RunKind, list[Trace]]


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("analyze", help=what)(analyze)


def analyze(
    app: Annotated[str, typer.Option(help="The application.")] = DEFAULT_APP,
    mode: Annotated[
        str | None, typer.Option(help="The mode to look at; by default the application's own.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only runs of the last 30m, 24h, 7d, …")] = None,
    against: Annotated[
        str | None, typer.Option("--compare", help="A mode, or earlier: before --since.")
    ] = None,
    report: Annotated[
        Literal["md", "html"] | None, typer.Option(help="Write a report: md or html.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The report's file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank what adds to the critical path, and say what got slower, costlier or less reused."""
    since_s = None if since is None else current_clock().now() - duration_s(since)
    if against == EARLIER and since_s is None:
        message = "--compare earlier needs --since: it splits the runs in two"
        raise InvalidInput(message, field="--since")
    found = with_runtime(lambda runtime: _analysis(runtime, app, mode, since_s, against))
    if output is not None and report is None:
        report = "html" if output.suffix == ".html" else "md"
    if as_json:
        write_json(msgspec.to_builtins(found))
    elif report is not None:
        file = output or Path(f"{app}-report.{report}")
        write_file(file, WRITERS[report](found).encode())
    else:
        draw(found)


def duration_s(text: str) -> float:
    """Return the seconds in ``30m``, ``24h``, ``7d`` or ``2w``. Raises ``InvalidInput``."""
    match = re.fullmatch(r"(\d+)([mhdw])", text)
    if match is None:
        message = f"--since takes a number and m, h, d or w, such as 24h, not {text!r}"
        raise InvalidInput(message, field="--since", value=text)
    return int(match[1]) * UNIT_S[match[2]]


async def _analysis(
    runtime: Runtime, app: str, mode: str | None, since_s: float | None, against: str | None
) -> Analysis:
    mode = mode or pick_app(runtime.apps, app).default_mode
    after = await _groups(runtime, RunFilter(app=app, mode=mode, since_s=since_s))
    before: Groups = {}
    if against == EARLIER:
        before = await _groups(runtime, RunFilter(app=app, mode=mode, before_s=since_s))
    elif against is not None:
        before = await _groups(runtime, RunFilter(app=app, mode=against, since_s=since_s))
    kind = _kind(after, before)
    now = after[kind]
    found = Analysis(
        app=app,
        mode=mode,
        now=run_times(now),
        bottlenecks=bottlenecks(now)[:TOP],
        repeated=repeated_calls(now)[:TOP],
    )
    if against is not None:
        found.against_name = against
        found.against = run_times(before[kind])
        found.changes = compare(before[kind], now)
    return found


async def _groups(runtime: Runtime, which: RunFilter) -> Groups:
    """Return the newest runs that came through, by kind, the commonest first."""
    records = [run for run in await runtime.runs(which) if run.status in ("complete", "degraded")]
    if not records:
        when = "" if which.since_s is None and which.before_s is None else " in that time"
        message = f"no runs of {which.app} in mode {which.mode}{when}: hasten run {which.app}"
        raise NotFound(message)
    return by_kind([Trace(run, await runtime.sink.spans(run.run_id)) for run in records])


def _kind(after: Groups, before: Groups) -> RunKind:
    """Return the commonest kind that both groups have, if there are two."""
    shared = [kind for kind in after if not before or kind in before]
    if not shared:
        ours, theirs = ("; ".join(map(str, group)) for group in (after, before))
        message = f"nothing to compare: runs of one kind ({ours}) against others ({theirs})"
        raise NotFound(message)
    return shared[0]
