"""``hasten bench``: run a benchmark of the checkout this is started in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from hasten.errors import SettingsError


def add(command: typer.Typer, what: str) -> None:
    """Add the verb; everything after it goes to the benchmark."""
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    command.command("bench", help=what, context_settings=passed_on, add_help_option=False)(bench)


def bench(context: typer.Context) -> None:
    """Run ``python -m bench`` with the given arguments and its exit code."""
    if not (Path("bench") / "__main__.py").is_file():
        message = "benchmarks run from a checkout of Hasten: there is no bench/ in this folder"
        raise SettingsError(message)
    command = [sys.executable, "-m", "bench", *context.args]
    done = subprocess.run(command, check=False)  # noqa: S603 - the user's own command line
    raise typer.Exit(done.returncode)
