"""``hasten check``: the figures an application states, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hasten.app import find_apps, pick_app
from hasten.cli.readings import read_targets, show
from hasten.cli.terminal import AsJson
from hasten.errors import NotFound

if TYPE_CHECKING:
    from hasten.app import App


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("check", help=what)(check)


def check(
    app: Annotated[str, typer.Argument(help="The application.")],
    as_json: AsJson = False,
) -> None:
    """Measure an application's targets on the simulated model; exit 1 if one is missed."""
    show(read_targets([_stating(app)], is_race=False), as_json=as_json)


def _stating(name: str) -> App:
    app = pick_app(find_apps(), name)
    if not app.targets:
        message = f"app {name!r} states no targets: its manifest has none"
        raise NotFound(message)
    return app
