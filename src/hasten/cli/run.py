"""``hasten run``: one run here, or the race of both modes on the same inputs.

Owns reading inputs and showing what came of them. On the virtual clock a run
of minutes takes milliseconds; on the real one its progress is shown. Either
way the run is kept with all others. Leaves drawing to ``race``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn

from hasten.app import App, find_apps, pick_app
from hasten.cli.race import draw_race, race_of
from hasten.cli.terminal import AsJson, err, out, seconds, write_json
from hasten.errors import InvalidInput
from hasten.settings import load_settings
from hasten.trace.log import MemorySink, copy_run
from hasten.wire import Runtime, run_virtually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hasten.graph.run import Outcome
    from hasten.settings import Settings

BOTH = "both"
FAILED = 1


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("run", help=what)(run)


def run(
    app: Annotated[str, typer.Argument(help="The application.")] = "discovery",
    mode: Annotated[str | None, typer.Option(help="A mode, or 'both' for a race.")] = None,
    clock: Annotated[Literal["virtual", "real"], typer.Option(help="Whose time.")] = "virtual",
    speed: Annotated[float | None, typer.Option(help="Pace of the real clock.")] = None,
    file: Annotated[Path | None, typer.Option("--input", help="JSON file of inputs.")] = None,
    sample: Annotated[str | None, typer.Option(help="A sample of the application.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--set", help="key=value")] = None,
    seed: Annotated[int, typer.Option(help="Seed of virtual time.")] = 0,
    model: Annotated[str | None, typer.Option(help="Model to ask at OPENAI_BASE_URL.")] = None,
    as_json: AsJson = False,
) -> None:  # waiver: ten flags, each its own parameter, are how typer reads a command line
    """Run and show the answer; exit 1 if it failed."""
    settings = load_settings(model=model, speed=speed)
    wanted = pick_app(find_apps(), app)
    modes = list(wanted.graphs) if mode == BOTH else [mode or wanted.default_mode]
    inputs = read_inputs(wanted, file, sample, assign or [])
    if clock == "virtual":
        if not settings.is_simulated:
            message = "a real model answers in real time: use --clock real"
            raise InvalidInput(message, field="clock", value=clock, allowed=["real"])
        outcomes = asyncio.run(_virtual_runs(wanted, inputs, modes, settings, seed))
    else:
        outcomes = asyncio.run(_real_runs(wanted, inputs, modes, settings))
    if as_json:
        write_json(race_of(outcomes))
    else:
        if mode != BOTH:
            _show_answer(outcomes[0])
        draw_race(outcomes)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(FAILED)


def read_inputs(
    app: App, file: Path | None, sample: str | None, assigned: Sequence[str]
) -> dict[str, Any]:
    """Return the inputs: a file's or a sample's, then what ``--set`` changes.

    Raises ``InvalidInput`` for an unreadable file, an unknown sample, or a
    ``--set`` that is no ``key=value``.
    """
    inputs = _from_file(file) if file is not None else _from_sample(app, sample)
    for one in assigned:
        name, equals, value = one.partition("=")
        if not equals:
            message = f"--set takes key=value, not {one!r}"
            raise InvalidInput(message, field="--set", value=one)
        inputs[name] = value
    return inputs


def _from_file(file: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        message = f"--input {file}: {error}"
        raise InvalidInput(message, field="--input", value=str(file)) from None
    if not isinstance(found, dict):
        message = f"--input {file}: a JSON object of inputs is wanted, not a {type(found).__name__}"
        raise InvalidInput(message, field="--input", value=str(file))
    return found


def _from_sample(app: App, sample: str | None) -> dict[str, Any]:
    name = sample or next(iter(app.samples))
    if name not in app.samples:
        known = sorted(app.samples)
        message = f"app {app.name!r} has no sample {name!r}; it has {', '.join(known)}"
        raise InvalidInput(message, field="--sample", value=name, allowed=known)
    return dict(app.samples[name])


async def _virtual_runs(
    app: App, inputs: Mapping[str, Any], modes: Sequence[str], settings: Settings, seed: int
) -> list[Outcome]:
    """Run each mode in virtual time, in a thread of its own, then keep the runs."""
    sink = MemorySink()
    outcomes = [
        await asyncio.to_thread(run_virtually, app, inputs, mode, sink=sink, seed=seed)
        for mode in modes
    ]
    runtime = await Runtime.open(settings)
    try:
        for outcome in outcomes:
            await copy_run(sink, runtime.sink, outcome.run_id)
    finally:
        await runtime.close()
    return outcomes


async def _real_runs(
    app: App, inputs: Mapping[str, Any], modes: Sequence[str], settings: Settings
) -> list[Outcome]:
    """Run the modes side by side in real time and show how far they are."""
    runtime = await Runtime.open(settings)
    columns = TextColumn("{task.fields[mode]:<9}"), BarColumn(), TextColumn("{task.fields[at]}")
    try:
        with Progress(*columns, console=err, transient=True) as bars:
            return list(
                await asyncio.gather(
                    *(_watched(runtime, app, inputs, mode, bars) for mode in modes)
                )
            )
    finally:
        await runtime.close()


async def _watched(
    runtime: Runtime, app: App, inputs: Mapping[str, Any], mode: str, bars: Progress
) -> Outcome:
    bar = bars.add_task("", total=1.0, mode=mode, at="")
    run = await runtime.start(app.name, inputs, mode=mode)
    async for event in run.follow():
        if event.type == "progress":
            elapsed_s = event.at_s - run.record.started_s
            at = f"{seconds(elapsed_s):>8}  {event.data['current_step']}"
            bars.update(bar, completed=event.data["progress"], at=at)
    return await run.outcome()


def _show_answer(outcome: Outcome) -> None:
    for value in outcome.record.outputs.values():
        out.print(Markdown(value) if isinstance(value, str) else value)
        out.print()
