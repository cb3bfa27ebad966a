"""``hasten run``: an application's answer, or the race of its modes.

Owns reading the inputs and choosing the clock. Leaves running to ``wire`` and
drawing to ``side_by_side``.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer

from hasten.app import DEFAULT_APP, App, find_apps, pick_app
from hasten.cli.side_by_side import draw_figures, draw_race, draw_waterfalls, race_of
from hasten.cli.terminal import AsJson, err, out, seconds, with_runtime, write_json
from hasten.errors import InvalidInput, ModelError, ModelTimeout, ModelUnavailable, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.progress import Progress

    from hasten.cache.policy import Directives
    from hasten.graph.outcome import Outcome
    from hasten.graph.run import Run
    from hasten.settings import Settings
    from hasten.wire import Runtime

BOTH = "both"
FAILED = 1

AppName = Annotated[str, typer.Argument(help="The application.")]
InputFile = Annotated[Path | None, typer.Option("--input", help="JSON file of the inputs.")]
SampleName = Annotated[str | None, typer.Option(help="A sample to run; by default the first.")]
Assigned = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one input.")
]


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("run", help=what)(run)


def run(
    app: AppName = DEFAULT_APP,
    mode: Annotated[str | None, typer.Option(help="A mode, or both for a race.")] = None,
    file: InputFile = None,
    sample: SampleName = None,
    assign: Assigned = None,
    clock: Annotated[
        Literal["virtual", "real"] | None,
        typer.Option(help="virtual or real; by default virtual, if it can be."),
    ] = None,
    speed: Annotated[float | None, typer.Option(help="Pace of the real clock.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of virtual time.")] = 0,
    model: Annotated[str | None, typer.Option(help="Model to ask at OPENAI_BASE_URL.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Reuse nothing; a race never does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run and show the answer; exit 1 if it failed, 3 if no model could be reached."""
    from hasten.cache.policy import Directives
    from hasten.settings import load_settings

    settings = load_settings(model=model, speed=speed)
    wanted = pick_app(find_apps(), app)
    modes = list(wanted.graphs) if mode == BOTH else [mode or wanted.default_mode]
    inputs = read_inputs(wanted, file, sample, assign or [])
    if is_virtual(settings, clock, speed):
        outcomes, unkept = _virtual_runs(wanted, inputs, modes, settings, seed)
    else:
        asked = Directives(no_cache=fresh or mode == BOTH)
        work = partial(_real_runs, wanted, inputs, modes, asked)
        outcomes, unkept = with_runtime(work, settings), None
    if as_json:
        write_json(race_of(outcomes))
    elif mode == BOTH:
        draw_race(outcomes, out)
    else:
        _show(outcomes[0])
    if unkept is not None:
        raise unkept
    _raise_if_silent(outcomes)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(FAILED)


def read_inputs(
    app: App, file: Path | None, sample: str | None, assigned: Sequence[str]
) -> dict[str, Any]:
    """Return the inputs: a file's or a sample's, then what ``--set`` changes.

    Raises ``InvalidInput`` for an unreadable file, an unknown sample, both at
    once, or a ``--set`` that is no ``key=value``.
    """
    if file is not None and sample is not None:
        message = "--input and --sample are two sources of inputs: give one of them"
        raise InvalidInput(message, field="--sample", value=sample)
    inputs = _from_file(file) if file is not None else _from_sample(app, sample)
    for one in assigned:
        name, equals, value = one.partition("=")
        if not equals:
            message = f"--set takes key=value, not {one!r}"
            raise InvalidInput(message, field="--set", value=one)
        inputs[name] = value
    return inputs


def is_virtual(settings: Settings, clock: str | None, speed: float | None) -> bool:
    """Whether to run in virtual time: if asked to, or if nothing speaks against it.

    Raises ``InvalidInput`` for virtual time with a real model or a speed.
    """
    against = "" if settings.is_simulated else f"the model {settings.model!r} answers in real time"
    if speed is not None:
        against = "--speed is the pace of the real clock"
    if clock == "virtual" and against:
        message = f"{against}: use --clock real"
        raise InvalidInput(message, field="--clock", value=clock, allowed=["real"])
    return clock == "virtual" or (clock is None and not against)


def _from_file(file: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        message = f"--input {file} cannot be read: {error.strerror}"
        raise InvalidInput(message, field="--input", value=str(file)) from None
    except orjson.JSONDecodeError as error:
        message = f"--input {file} is not JSON: {error}"
        raise InvalidInput(message, field="--input", value=str(file)) from None
    if not isinstance(found, dict):
        message = f"--input {file}: a JSON object of inputs is wanted, not a {type(found).__name__}"
        raise InvalidInput(message, field="--input", value=str(file))
    return found


def _from_sample(app: App, sample: str | None) -> dict[str, Any]:
    name = sample or next(iter(app.samples), "")
    if name not in app.samples:
        known = sorted(app.samples)
        message = f"app {app.name!r} has no sample {name!r}; it has {', '.join(known) or 'none'}"
        raise InvalidInput(message, field="--sample", value=name, allowed=known)
    return dict(app.samples[name])


def _virtual_runs(
    app: App, inputs: Mapping[str, Any], modes: Sequence[str], settings: Settings, seed: int
) -> tuple[list[Outcome], StoreError | None]:
    """Run each mode in virtual time, then keep the runs, or return why they could not be."""
    from hasten.trace.log import MemorySink, copy_run
    from hasten.wire_runs import run_virtually

    sink = MemorySink()
    outcomes = [
        run_virtually(
            app, inputs, mode, sink=sink, seed=seed, records_prompts=settings.record_prompts
        )
        for mode in modes
    ]

    async def keep(runtime: Runtime) -> None:
        for outcome in outcomes:
            await copy_run(sink, runtime.sink, outcome.run_id)

    try:
        with_runtime(keep, settings)
    except StoreError as error:
        return outcomes, error
    return outcomes, None


async def _real_runs(
    app: App,
    inputs: Mapping[str, Any],
    modes: Sequence[str],
    directives: Directives,
    runtime: Runtime,
) -> list[Outcome]:
    """Run the modes side by side in real time and show how far they are."""
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.fields[mode]:<9}"), BarColumn(), TextColumn("{task.fields[at]}")
    is_watched = err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=not is_watched) as bars:
        runs = [
            await runtime.start(app.name, inputs, mode=mode, directives=directives)
            for mode in modes
        ]
        return list(await asyncio.gather(*(_watched(run, bars) for run in runs)))


async def _watched(run: Run, bars: Progress) -> Outcome:
    bar = bars.add_task("", total=1.0, mode=run.record.mode, at="")
    async for event in run.follow():
        if event.type == "progress":
            elapsed_s = event.at_s - run.record.started_s
            at = f"{seconds(elapsed_s):>8}  {event.data['current_step']}"
            bars.update(bar, completed=event.data["progress"], at=at)
    return await run.outcome()


def _show(outcome: Outcome) -> None:
    """Show the answer, as Markdown that others can read on if nobody sits there; then how it went.

    What is told about the run is not the answer: it goes to standard error.
    """
    for (
        name
    ) in outcome.outputs:  # in the graph's order; the record has them in that of their coming
        value = outcome.record.outputs[name]
        if not isinstance(value, str):
            write_json(value)
        elif out.is_terminal:
            from rich.markdown import Markdown

            out.print(Markdown(value), end="\n\n")
        else:
            sys.stdout.write(f"{value.rstrip()}\n\n")
    draw_waterfalls([(outcome.record, outcome.spans)], err)
    draw_figures([outcome.record], err)


def _raise_if_silent(outcomes: Sequence[Outcome]) -> None:
    """Raise what the model's endpoint said last when not one call of a run came through.

    An application may answer without its model, in a short form; whoever runs
    it by hand wants to know.
    """
    for outcome in outcomes:
        calls = [span for span in outcome.spans if span.kind == "model"]
        if calls and all(span.status in {"failed", "timeout"} for span in calls):
            said = calls[-1].attributes["error"]
            kinds = {kind.code: kind for kind in (ModelUnavailable, ModelTimeout)}
            message = f"no call of {outcome.record.mode} came through: {said['message']}"
            raise kinds.get(said["code"], ModelError)(message)
