"""``hasten erase``: delete everything of one person, physically and everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from hasten.cli.terminal import AsJson, err, with_runtime, write_json


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("erase", help=what)(erase)


def erase(
    tenant: Annotated[str, typer.Option(help="The tenant the person belongs to.")],
    user: Annotated[str, typer.Option(help="The person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a person's runs, cache entries and rows of applications' tables."""
    if not yes:
        typer.confirm(f"Delete everything of {user} of {tenant}?", abort=True, err=True)
    done = with_runtime(lambda runtime: runtime.erase(tenant, user))
    if as_json:
        write_json(done)
    else:
        err.print(
            f"deleted {done['runs']} runs, {done['entries']} copies of cache entries "
            f"and {done['rows']} rows of applications"
        )
