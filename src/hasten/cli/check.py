"""``hasten check``: the figures an application states, measured; its experiments, made.

What came of it is kept in the database, for the console and for later.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from hasten.app import find_apps, pick_app
from hasten.cli.readings import SCHEMA, draw, read_targets
from hasten.cli.terminal import AsJson, day, err, out, with_runtime, write_json
from hasten.errors import HastenError, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hasten.app import App
    from hasten.quality.experiment import ExperimentResult
    from hasten.quality.target import Reading
    from hasten.settings import Settings
    from hasten.wire import Runtime

    Found = tuple[Sequence[Reading], Sequence[ExperimentResult]]

LOOK_BACK = 200
COLOURS = {"kept": "green", "lost": "bold red", "undecided": "yellow"}


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("check", help=what)(check)


def check(
    app: Annotated[str, typer.Argument(help="The application.")],
    last: Annotated[
        bool, typer.Option("--last", help="Show what was found last; measure nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure an application's targets and make its experiments; exit 1 if one does not hold."""
    stating = _stating(app)
    readings, made = _found_last(stating) if last else _found_now(stating)
    held = [not one.is_missed for one in readings] + [one.is_held for one in made]
    is_held = all(held)
    if as_json:
        rows = [msgspec.to_builtins(one) for one in readings]
        found = [msgspec.to_builtins(one) for one in made]
        write_json({"schema": SCHEMA, "held": is_held, "readings": rows, "experiments": found})
    else:
        draw(readings)
        _draw(made)
    raise typer.Exit(0 if is_held else 1)


def _stating(name: str) -> App:
    app = pick_app(find_apps(), name)
    if not (app.targets or app.experiments):
        message = f"app {name!r} states no targets: its manifest has none"
        raise NotFound(message)
    return app


def _found_now(app: App) -> Found:
    """Measure, and keep what was found."""
    from hasten.settings import load_settings

    settings = load_settings()
    readings = read_targets([app], is_race=False)
    made = _experiments(app, settings)
    try:
        with_runtime(functools.partial(_keep, app.name, readings, made), settings)
    except HastenError as error:
        err.print(f"not kept: {error}")
    return readings, made


def _found_last(app: App) -> Found:
    """Return what was kept last. Raises ``NotFound`` when nothing was."""
    from hasten.quality.experiment import ExperimentResult
    from hasten.quality.target import Reading

    kept = with_runtime(lambda runtime: runtime.results.newest(app=app.name, limit=LOOK_BACK))
    checks = [one for one in kept if one.kind == "check"]
    newest = {one.name: one for one in reversed(kept) if one.kind == "experiment"}
    if not (checks or newest):
        message = f"nothing was found out about {app.name!r} yet: hasten check {app.name}"
        raise NotFound(message)
    err.print(f"as of {day(kept[0].at_s)}")
    readings = checks[0].data["readings"] if checks else []
    return (
        msgspec.convert(readings, list[Reading]),
        [msgspec.convert(one.data, ExperimentResult) for one in newest.values()],
    )


def _experiments(app: App, settings: Settings) -> list[ExperimentResult]:
    """Make the experiments; a real model that the settings name judges those that want it."""
    from hasten.trial import measure_experiment
    from hasten.wire_models import real_model

    judge_by = None if settings.is_simulated else functools.partial(real_model, settings)
    found = []
    with err.status("") as status:
        for one in app.experiments:
            status.update(f"{app.name}: {one.about}")
            found.append(measure_experiment(app, one, judge_by))
    return found


async def _keep(
    app: str, readings: Sequence[Reading], made: Sequence[ExperimentResult], runtime: Runtime
) -> None:
    if readings:
        data: dict[str, Any] = {"readings": [msgspec.to_builtins(one) for one in readings]}
        is_held = not any(one.is_missed for one in readings)
        await runtime.results.add("check", app, "targets", data, is_held=is_held)
    for one in made:
        data = msgspec.to_builtins(one)
        await runtime.results.add("experiment", app, one.name, data, is_held=one.is_held)


def _draw(made: Sequence[ExperimentResult]) -> None:
    for one in made:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
        table.title = Text(f"{one.app} {one.name}: {one.pairs} pairs", "bold")
        for heading in ("check", "baseline", "variant"):
            table.add_column(heading, justify="left" if heading == "check" else "right")
        for name, (before, after) in one.scores.items():
            table.add_row(name, f"{before:.2f}", f"{after:.2f}")
        out.print(table)
        said = Text(f"quality {one.quality.estimate:.1%} of the baseline's ")
        said.append(
            f"({one.quality.low:.1%} to {one.quality.high:.1%}, {one.at_least:.0%} wanted) "
        )
        said.append(one.conclusion, COLOURS[one.conclusion])
        out.print(said)
        parts = ", ".join(f"{name} {share:+.0%}" for name, share in one.saved.items())
        out.print(f"saved: {parts}", end="\n\n")
