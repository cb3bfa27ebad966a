"""The command line: one file a verb, and the meaning of every exit code.

Owns how errors become exit codes: 0 ok, 1 failed or a check did not hold,
2 wrong usage, 3 something could not be reached, 4 not allowed, 130 interrupted.
Leaves the work to ``wire`` and below. The ``hasten`` command calls ``main``.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import typer

from hasten import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

VERBS = {
    "serve": "Serve the applications and the console.",
    "run": "Run an application here, in one mode or as a race of both.",
    "race": "Race every application, before and after, against its targets.",
    "check": "Measure the figures an application states.",
    "runs": "List past runs, or show one.",
    "jobs": "Submit runs to be done later, look at them, retry the dead.",
    "worker": "Do jobs, beside the server or without one.",
    "analyze": "Say where the time goes, over past runs.",
    "prompts": "Say what prompts are made of, and shorten them.",
    "export": "Write a run's trace for Perfetto or speedscope.",
    "bench": "Run a benchmark side by side with its peers (from a checkout).",
    "loadtest": "Load an application with many users at once.",
    "sim": "Serve the simulated model as OpenAI, Anthropic and Gemini would.",
    "db": "Bring the database up to date; its indexes, its slow calls.",
    "cache": "See and steer what is reused.",
    "erase": "Delete all that is kept of one person.",
    "keys": "Create, list and revoke the keys that callers show.",
    "config": "Show every setting, its value and its default.",
    "doctor": "Check that this machine has what Hasten needs.",
}
"""Every verb and what it is for; each is ``cli/<verb>.py`` with an ``add`` function."""

EXIT_CODES: dict[type[errors.HastenError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 2,
    errors.SettingsError: 2,
    errors.MissingExtra: 2,
    errors.ServerUnavailable: 3,
    errors.StoreError: 3,
    errors.ModelUnavailable: 3,
    errors.ModelTimeout: 3,
    errors.Unauthenticated: 4,
    errors.Forbidden: 4,
    errors.HastenError: 1,
}
"""The exit code of an error is that of its nearest class here."""

INTERRUPTED = 130


def build(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Return the command with its verbs, by default all."""
    command = typer.Typer(
        name="hasten",
        help="Makes LLM-backed endpoints fast and cheap without making them worse.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    command.callback()(_nothing)  # a command with one verb would else be that verb
    for verb in verbs:
        import_module(f"hasten.cli.{verb}").add(command, VERBS[verb])
    return command


def _nothing() -> None:
    """Do nothing before the verb."""


def main() -> None:
    """Run the command; every error Hasten knows ends in one line and its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asked = sys.argv[1:2]  # the others need not be loaded
        build(asked if asked and asked[0] in VERBS else VERBS)(prog_name="hasten")
    except errors.HastenError as error:
        sys.stderr.write(f"hasten: {error}\n")
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def exit_code(error: errors.HastenError) -> int:
    """Return the exit code of ``error``."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
