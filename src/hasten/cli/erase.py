"""``hasten erase``: delete everything of one person, physically and everywhere.

Cached entries die in a running server, too; a run it has under way it alone can stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hasten.cli.serve import holder
from hasten.cli.terminal import AsJson, err, with_runtime, write_json

if TYPE_CHECKING:
    from hasten.wire import Runtime


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

    async def work(runtime: Runtime) -> tuple[dict[str, int], str]:
        return await runtime.erase(tenant, user), holder(runtime.settings.home)

    done, server = with_runtime(work)
    if as_json:
        write_json(done)
    else:
        err.print(
            f"deleted {done['runs']} runs, {done['entries']} copies of cache entries "
            f"and {done['rows']} rows of applications"
        )
    if server:
        err.print(
            f"a server (process {server}) uses this state folder: runs it has under way for them "
            "were not stopped and are kept when they end. Erase again then, or let the server do "
            "it: DELETE /api/people/USER"
        )
