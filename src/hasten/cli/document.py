"""An analysis for people: on the terminal, as Markdown, or as a page with bars.

Owns ``Analysis`` and its sections, which all three forms show. Leaves the
figures to ``trace`` and which runs they are made from to ``analyze``.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.markup import escape
from rich.table import Table

from hasten.cli.terminal import milliseconds, out
from hasten.trace.compare import Change
from hasten.trace.report import Bottleneck, RepeatedCall, RunTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.trace.report import Percentiles

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
td { font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
meter { width: 8rem; vertical-align: middle }
"""

LEAST_SHARE = 0.005
"""A bottleneck below half a percent of the run is none."""

COLOURS = {
    **dict.fromkeys(("slower", "costlier", "less reused"), "red"),
    **dict.fromkeys(("faster", "cheaper", "more reused"), "green"),
}

Row = tuple[str, ...]


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


class Section(NamedTuple):
    """A titled table; a section without rows is not shown."""

    title: str
    head: Row
    rows: Sequence[Row]


def sections(found: Analysis) -> list[Section]:
    """Return the tables an analysis is told in."""
    told = [_times(found), _bottlenecks(found), _repeated(found), _changes(found)]
    return [section for section in told if section.rows]


def draw(found: Analysis) -> None:
    """Show the analysis on the terminal."""
    out.print(f"[bold]{escape(found.app)}[/bold]  [dim]{escape(_what(found))}[/dim]", end="\n\n")
    for section in sections(found):
        table = Table(box=None, pad_edge=False, title=section.title, title_justify="left")
        for place, heading in enumerate(section.head):
            table.add_column(heading, justify="right" if place else "left")
        for row in section.rows:
            *cells, last = map(escape, row)
            colour = COLOURS.get(last)
            table.add_row(*cells, f"[{colour}]{last}[/]" if colour else last)
        out.print(table, end="\n\n")


def as_markdown(found: Analysis) -> str:
    """Return the analysis as Markdown."""
    parts = [f"# {found.app}: where the time goes", _what(found)]
    for title, head, rows in sections(found):
        lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, rows)]
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def as_html(found: Analysis) -> str:
    """Return the analysis as a page that needs nothing else."""
    title = html.escape(f"{found.app}: where the time goes")
    parts = [f"<h1>{title}</h1><p>{html.escape(_what(found))}</p>"]
    for heading, head, rows in sections(found):
        parts.append(f"<h2>{html.escape(heading)}</h2><table><tr>{_cells(head, 'th')}</tr>")
        parts += [f"<tr>{_cells(row, 'td')}</tr>" for row in rows]
        parts.append("</table>")
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style>\n{body}\n</html>\n"
    )


def _what(found: Analysis) -> str:
    text = f"{_runs(found.now.total.count)} in mode {found.mode} ({found.now.kind})"
    if found.against is not None:
        before, after = found.against.total, found.now.total
        text += f", against {before.count} of {found.against_name}"
        if after.p50_ms:
            text += f": {before.p50_ms / after.p50_ms:.1f}× as fast"
    return text + "."


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _times(found: Analysis) -> Section:
    against = found.against
    head: Row = ("phase", "P50", "P95", "P99")
    rows = [_spread("whole run", found.now.total)]
    rows += [_spread(phase, spread) for phase, spread in found.now.phases.items()]
    if against is not None:
        head = (*head, f"P50 {found.against_name}")
        p50_ms = {phase: spread.p50_ms for phase, spread in against.phases.items()}
        p50_ms["whole run"] = against.total.p50_ms
        rows = [(*row, milliseconds(p50_ms[row[0]]) if row[0] in p50_ms else "–") for row in rows]
    return Section("Time", head, rows)


def _spread(name: str, spread: Percentiles) -> Row:
    return name, *map(milliseconds, (spread.p50_ms, spread.p95_ms, spread.p99_ms))


def _bottlenecks(found: Analysis) -> Section:
    rows = [
        (
            f"{one.kind} {one.name}",
            one.phase or "–",
            milliseconds(one.critical_ms),
            f"{one.share:.0%}",
            milliseconds(one.slack_ms),
        )
        for one in found.bottlenecks
        if one.share >= LEAST_SHARE
    ]
    return Section("Bottlenecks", ("work", "phase", "on critical path", "share", "slack"), rows)


def _repeated(found: Analysis) -> Section:
    rows = [
        (
            f"{call.tool}({', '.join(map(str, call.params.values()))})",
            str(call.calls),
            str(call.runs),
            milliseconds(call.repeated_ms),
        )
        for call in found.repeated
    ]
    return Section("Computed more than once", ("call", "times", "runs", "again took"), rows)


def _changes(found: Analysis) -> Section:
    """Return what moved by as much as the figures show."""
    rows = [
        (one.subject, _figure(one, one.before), _figure(one, one.after), one.verdict)
        for one in found.changes
    ]
    seen = [row for row in rows if row[1] != row[2]]
    return Section("What changed", ("what", "before", "after", "verdict"), seen)


def _figure(change: Change, value: float | None) -> str:
    """Return a change's figure in its own unit."""
    if value is None:
        return "–"
    if change.measure == "duration_ms":
        return milliseconds(value)
    return f"${value:.4f}" if change.measure == "cost_usd" else f"{value:.0%}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cells(cells: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells)


def _cell(cell: str) -> str:
    text = html.escape(cell)
    if cell.endswith("%"):
        return f'<meter value="{cell[:-1]}" max="100"></meter> {text}'
    return text
