"""``hasten db``: the database brought up to date, its indexes, its slow calls.

Leaves what an index serves to ``store/sql/indexes`` and which migrations there
are to the applications' manifests.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from hasten.app import find_apps, pick_app
from hasten.cli.terminal import AsJson, err, milliseconds, out, with_runtime, write_file, write_json
from hasten.clock import current_clock
from hasten.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy import Index, MetaData

    from hasten.app import App
    from hasten.store.sql.indexes import IndexCheck
    from hasten.store.sql.slow import SlowCall
    from hasten.wire import Runtime

HOUR_S = 3_600.0

OfApp = Annotated[str | None, typer.Option("--app", help="Only of this application.")]


def add(command: typer.Typer, what: str) -> None:
    """Add the verb and what is below it."""
    db = typer.Typer(no_args_is_help=True)
    db.command("upgrade")(upgrade)
    db.command("downgrade")(downgrade)
    indexes = typer.Typer(no_args_is_help=True)
    for name, verb in (("generate", generate), ("apply", apply), ("verify", verify)):
        indexes.command(name)(verb)
    db.add_typer(indexes, name="indexes", help="Indexes that applications declare.")
    db.command("slow")(slow)
    command.add_typer(db, name="db", help=what)


def upgrade(as_json: AsJson = False) -> None:
    """Bring every table up to date, ours and the applications'."""

    async def applied(runtime: Runtime) -> list[str]:
        return runtime.sql.applied

    done = with_runtime(applied)
    if as_json:
        write_json({"applied": done})
    else:
        err.print(f"applied {', '.join(done)}" if done else "up to date")


def downgrade(
    app: Annotated[str, typer.Argument(help="The application.")],
    to: Annotated[
        str, typer.Option(help="The revision to go back to; else all its tables are dropped.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Undo an application's migrations, before an older release of it is installed, or none."""
    from hasten.store.sql.migrate import downgrade as undo

    ((one, _),) = _with_tables(app)
    branches = [found.migrations for found in find_apps().values() if found.migrations is not None]
    if not yes:
        what = f"back to {to}" if to else "with all its tables and what is in them"
        typer.confirm(f"Undo the migrations of {one.name}, {what}?", abort=True, err=True)
    work = partial(undo, app=one.name, branches=branches, to=to)
    undone = with_runtime(lambda runtime: runtime.sql.write(work))
    if as_json:
        write_json({"undone": undone})
    else:
        err.print(f"undid {', '.join(undone)}" if undone else "there is nothing to undo")


def generate(
    app: Annotated[str, typer.Argument(help="The application.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; else it is shown.")
    ] = None,
) -> None:
    """Write a migration for the indexes that the manifest declares and its history lacks."""
    from hasten.store.sql.indexes import source

    ((one, metadata),) = _with_tables(app)
    head, lacking = _lacking(one, metadata)
    if not lacking:
        err.print(f"the history of {app} has every index it declares")
        return
    number = re.search(r"\d+$", head)
    following = int(number[0]) + 1 if number else 1
    text = source(app, f"{app}_{following:04d}", head, lacking)
    if output is None:
        out.print(Text(text), end="")
    else:
        write_file(output, text.encode())


def apply(app: OfApp = None, as_json: AsJson = False) -> None:
    """Make the declared indexes that the database lacks."""
    from hasten.store.sql.indexes import create, missing

    apps = _with_tables(app)

    async def made(runtime: Runtime) -> list[str]:
        done: list[str] = []
        for _, metadata in apps:
            lacking = await runtime.sql.read(partial(missing, metadata=metadata))
            done += await runtime.sql.write(partial(create, indexes=lacking))
        return done

    done = with_runtime(made)
    if as_json:
        write_json({"made": done})
    else:
        err.print(f"made {', '.join(done)}" if done else "every declared index is there")


def verify(app: OfApp = None, as_json: AsJson = False) -> None:
    """Ask the database whether each declared index serves its query; exit 1 if one does not."""
    from hasten.store.sql.indexes import verify as ask

    apps = _with_tables(app)

    async def asked(runtime: Runtime) -> list[IndexCheck]:
        works = [partial(ask, metadata=tables, queries=one.queries) for one, tables in apps]
        return [check for work in works for check in await runtime.sql.read(work)]

    found = with_runtime(asked)
    if as_json:
        write_json([{**msgspec.to_builtins(one), "is_served": one.is_served} for one in found])
    else:
        _draw(found)
    raise typer.Exit(0 if all(one.is_served for one in found) else 1)


def slow(
    hours: Annotated[float, typer.Option(min=0, help="Only runs of the last hours.")] = 24.0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the calls of applications' tables that took most time, from recorded runs."""
    from hasten.store.sql.slow import slow_calls

    since_s = current_clock().now() - hours * HOUR_S
    work = partial(slow_calls, since_s=since_s, limit=limit)
    found = with_runtime(lambda runtime: runtime.sql.read(work))
    if as_json:
        write_json([msgspec.to_builtins(one) for one in found])
    elif found:
        _draw_slow(found)
    else:
        err.print("no run has called a table in that time")


def _with_tables(name: str | None) -> list[tuple[App, MetaData]]:
    apps = find_apps()
    chosen = list(apps.values()) if name is None else [pick_app(apps, name)]
    having = [(one, one.tables) for one in chosen if one.tables is not None]
    if name is not None and not having:
        message = f"app {name!r} has no tables"
        raise NotFound(message)
    return having


def _lacking(app: App, metadata: MetaData) -> tuple[str, Sequence[Index]]:
    """Return the head of an application's branch, and the indexes its history lacks."""
    from sqlalchemy import create_engine

    from hasten.store.sql.indexes import missing
    from hasten.store.sql.migrate import history, migrate

    branches = [] if app.migrations is None else [app.migrations]
    with create_engine("sqlite://").begin() as connection:
        migrate(connection, branches)
        return _head(history(branches), app), missing(connection, metadata)


def _head(script: ScriptDirectory, app: App) -> str:
    (revision,) = script.get_revisions(f"{app.name}@head")
    return "" if revision is None else str(revision.revision)


def _draw(found: Sequence[IndexCheck]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("index", no_wrap=True)
    for heading in ("columns", "serves its query"):
        table.add_column(heading)
    for one in found:
        said = Text("yes", "green") if one.is_served else Text(_why(one), "bold red")
        table.add_row(one.name, ", ".join(one.columns), said)
    out.print(table)


def _why(one: IndexCheck) -> str:
    if not one.is_there:
        return "missing: indexes apply"
    if not one.has_query:
        return "no query declared"
    return f"no: {', '.join(one.used) or 'no index'} is used"


def _draw_slow(found: Sequence[SlowCall]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("app", "call", "times", "P50", "P95", "most", "total"):
        table.add_column(heading, justify="left" if heading in {"app", "call"} else "right")
    for one in found:
        figures = (one.p50_ms, one.p95_ms, one.most_ms, one.total_ms)
        table.add_row(one.app, one.call, str(one.times), *map(milliseconds, figures))
    out.print(table)
