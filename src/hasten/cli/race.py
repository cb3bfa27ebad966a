"""``hasten race``: every application before and after, against what its plan wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasten.app import find_apps
from hasten.cli.readings import read_targets, show
from hasten.cli.terminal import AsJson

if TYPE_CHECKING:
    import typer


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("race", help=what)(race)


def race(as_json: AsJson = False) -> None:
    """Measure every application in both modes; exit 1 if a figure falls short."""
    show(read_targets(find_apps().values(), is_race=True), as_json=as_json)
