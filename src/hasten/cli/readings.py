"""How measured targets are shown: a table for people, rows for programs, one exit code.

Owns the table and the JSON that ``check`` and ``race`` share. Leaves measuring
to ``hasten.trial``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from hasten.cli.terminal import day, err, out, seconds, with_runtime, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hasten.app import App
    from hasten.quality.results import Result
    from hasten.quality.target import Reading

SCHEMA = "hasten.readings/1"
BAR_CELLS = 16
MARKS = {"virtual": "", "real": " *", "load": " †"}
LOOK_BACK = 500

WIDE = 110
"""From so many columns on, there is room for what the plan wanted, and for bars."""


def read_targets(apps: Iterable[App], *, is_race: bool) -> list[Reading]:
    """Measure the applications' targets, saying on standard error which."""
    from hasten.trial import measure_targets

    apps = list(apps)
    found: list[Reading] = []
    loads = _loads(apps)
    with err.status("") as status:
        for app in apps:

            def tell(target: Any, app: App = app) -> None:
                status.update(f"{app.name}: {target.about}")

            found += measure_targets(app, is_race=is_race, loads=loads, tell=tell)
    return found


def _loads(apps: Sequence[App]) -> list[Result]:
    """Return the load tests that are kept, newest first, if a target asks for one."""
    if not any(target.load for app in apps for target in app.targets):
        return []
    return with_runtime(lambda runtime: runtime.results.newest("loadtest", limit=LOOK_BACK))


def show(readings: Sequence[Reading], *, as_json: bool) -> None:
    """Show the readings and end with exit code 1 if one is not held."""
    is_held = not any(one.is_missed for one in readings)
    if as_json:
        rows = [msgspec.to_builtins(one) for one in readings]
        write_json({"schema": SCHEMA, "held": is_held, "readings": rows})
    else:
        draw(readings)
    raise typer.Exit(0 if is_held else 1)


def draw(readings: Sequence[Reading]) -> None:
    """Draw a table an application, a line a figure: both modes, what bounds it, the verdict."""
    names = max((len(one.about) for one in readings), default=0)
    for app in dict.fromkeys(one.app for one in readings):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
        table.title = Text(app, "bold")
        table.add_column("", min_width=names, max_width=out.width // 3)
        for heading in ("baseline", "hasten", "ratio"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("bound", "verdict"):
            table.add_column(heading, no_wrap=True)
        is_wide = out.width >= WIDE
        for heading in ("plan", "") if is_wide else ():
            table.add_column(heading, no_wrap=True)
        for one in (found for found in readings if found.app == app):
            more = [Text(one.plan, "dim"), _bar(one)] if is_wide else []
            table.add_row(*_cells(one), *more)
        out.print(table, end="\n\n")
    _draw_notes(readings)
    held = sum(one.is_held for one in readings)
    known = sum(one.is_held or one.is_missed for one in readings)
    out.print(f"{held} of {known} figures held; simulated seconds, * on the real clock")


def _draw_notes(readings: Sequence[Reading]) -> None:
    """Say why figures are lacking, and of when those are that were not measured now."""
    notes: dict[tuple[str, str, str], list[str]] = {}
    for one in readings:
        if one.why:
            style = "red" if one.is_missed else "yellow"
            notes.setdefault((one.app, one.why, style), []).append(one.name)
        if one.at_s is not None:
            dated = f"† from the load test of {day(one.at_s)}"
            notes.setdefault((one.app, dated, ""), []).append(one.name)
    for (app, note, style), names in notes.items():
        out.print(Text(f"{app} {', '.join(names)}: {note}", style))


def _cells(one: Reading) -> list[Text]:
    verdict = Text("held", "green") if one.is_held else Text("missed", "bold red")
    if not one.is_held and not one.is_missed:
        verdict = Text("not yet", "yellow")
    clock = MARKS[one.clock]
    return [
        Text(one.about),
        Text(figure(one.baseline, one.unit), "dim"),
        Text(f"{figure(one.value, one.unit)}{clock}"),
        Text(_ratio(one)),
        Text(bound(one)),
        verdict,
    ]


def figure(value: float | None, unit: str) -> str:
    """Return a figure as people read it."""
    if value is None:
        return "–"
    if unit == "s":
        return seconds(value)
    if unit == "ms":
        return seconds(value / 1e3)
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1_000 else f"{value:,.3g}"  # noqa: PLR2004 - thousands need no fraction
    return f"{text} {unit}".rstrip()


def bound(one: Reading) -> str:
    """Return what bounds a figure, in full."""
    sign, limit = ("≥", one.at_least) if one.at_most is None else ("≤", one.at_most)
    is_long = one.unit == "s" and limit is not None and limit >= 1
    return f"{sign} {limit:g} s" if is_long else f"{sign} {figure(limit, one.unit)}"


def _ratio(one: Reading) -> str:
    if not one.baseline or not one.value or one.at_most is None:
        return ""
    return f"{one.baseline / one.value:,.1f}×"


def _bar(one: Reading) -> Text:
    """Return the figure as a bar, the length of the baseline's when there is one."""
    whole = one.baseline or one.at_most
    if one.value is None or not whole:
        return Text("")
    cells = max(1, min(BAR_CELLS, round(BAR_CELLS * one.value / whole)))
    return Text("━" * cells, "cyan").append("─" * (BAR_CELLS - cells), "dim")
