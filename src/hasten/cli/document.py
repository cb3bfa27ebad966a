"""An analysis as a document to keep: Markdown, or a page with bars.

Owns the two forms; both say the same. Leaves the figures to ``analyze``.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from hasten.cli.terminal import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.cli.analyze import Analysis
    from hasten.trace.compare import Change

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
td { font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
meter { width: 8rem; vertical-align: middle }
"""

Rows = list[tuple[str, ...]]


def as_markdown(found: Analysis) -> str:
    """Return the analysis as Markdown."""
    parts = [f"# {found.app}: where the time goes", _what(found)]
    for title, head, rows in _tables(found):
        lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *map(_row, rows)]
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def as_html(found: Analysis) -> str:
    """Return the analysis as a page that needs nothing else."""
    title = html.escape(f"{found.app}: where the time goes")
    parts = [f"<h1>{title}</h1><p>{html.escape(_what(found))}</p>"]
    for heading, head, rows in _tables(found):
        parts.append(f"<h2>{html.escape(heading)}</h2><table><tr>{_cells(head, 'th')}</tr>")
        parts += [f"<tr>{_cells(row, 'td')}</tr>" for row in rows]
        parts.append("</table>")
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style>\n{body}\n</html>\n"
    )


def figure(change: Change, value: float | None) -> str:
    """Return a change's figure in its own unit."""
    if value is None:
        return "–"
    if change.measure == "duration_ms":
        return seconds(value / 1e3)
    return f"${value:.4f}" if change.measure == "cost_usd" else f"{value:.0%}"


def _what(found: Analysis) -> str:
    text = f"{found.now.total.count} runs in mode {found.mode} ({found.now.kind})"
    if found.against is not None:
        before, after = found.against.total.p50_ms, found.now.total.p50_ms
        faster = f", {before / after:.1f}× as fast" if after else ""
        text += f", against {found.against.total.count} of {found.against_name}{faster}"
    return text + "."


def _tables(found: Analysis) -> list[tuple[str, tuple[str, ...], Rows]]:
    times: Rows = []
    earlier = {} if found.against is None else found.against.phases
    for phase, spread in found.now.phases.items():
        row = (phase, *(seconds(ms / 1e3) for ms in (spread.p50_ms, spread.p95_ms, spread.p99_ms)))
        if found.against is not None:
            row += (seconds(earlier[phase].p50_ms / 1e3) if phase in earlier else "–",)
        times.append(row)
    total = found.now.total
    whole = ("whole run", *(seconds(ms / 1e3) for ms in (total.p50_ms, total.p95_ms, total.p99_ms)))
    head: tuple[str, ...] = ("phase", "P50", "P95", "P99")
    if found.against is not None:
        head += (f"P50 {found.against_name}",)
        whole += (seconds(found.against.total.p50_ms / 1e3),)
    return [
        ("Time", head, [whole, *times]),
        (
            "Bottlenecks",
            ("work", "on the critical path", "share", "slack"),
            [
                (
                    f"{one.kind} {one.name}",
                    seconds(one.critical_ms / 1e3),
                    f"{one.share:.0%}",
                    seconds(one.slack_ms / 1e3),
                )
                for one in found.bottlenecks
            ],
        ),
        (
            "What changed",
            ("what", "before", "after", "verdict"),
            [
                (one.subject, figure(one, one.before), figure(one, one.after), one.verdict)
                for one in found.changes
            ],
        ),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cells(cells: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells)


def _cell(cell: str) -> str:
    text = html.escape(cell)
    if cell.endswith("%"):
        return f'<meter value="{cell[:-1]}" max="100"></meter> {text}'
    return text
