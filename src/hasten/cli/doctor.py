"""``hasten doctor``: what this machine has, what it lacks, and the line that mends it."""

from __future__ import annotations

import platform
import sqlite3
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hasten.app import find_apps
from hasten.cli.serve import free_port
from hasten.cli.terminal import AsJson, out, with_runtime, write_json
from hasten.errors import HastenError
from hasten.settings import load_settings
from hasten.trace.log import RunFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

MINIMUM_SQLITE = (3, 35, 0)
EXTRAS = {"server": ("granian", "fastapi", "uvloop"), "postgres": ("asyncpg",), "redis": ("redis",)}


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("doctor", help=what)(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Check each part; exit 1 if one that is needed is missing."""
    checks: dict[str, Callable[[], str]] = {
        "python": platform.python_version,
        "sqlite": _sqlite,
        "settings": lambda: f"model: {load_settings().model or 'simulated'}",
        "apps": lambda: ", ".join(find_apps()) or "none found",
        "database": _database,
        "port": _port,
    }
    rows = [_checked(name, check) for name, check in checks.items()]
    rows += [_extra(extra, parts) for extra, parts in EXTRAS.items()]
    if as_json:
        write_json(rows)
    else:
        marks = {
            "ok": "[green]ok[/green]  ",
            "missing": "[yellow]–[/yellow]   ",
            "failed": "[red]no[/red]  ",
        }
        for row in rows:
            out.print(f"{marks[row['status']]}{row['name']:<10} {row['detail']}")
    if any(row["status"] == "failed" for row in rows):
        sys.exit(1)


def _checked(name: str, check: Callable[[], str]) -> dict[str, str]:
    try:
        return {"name": name, "status": "ok", "detail": check()}
    except (HastenError, OSError) as error:
        return {"name": name, "status": "failed", "detail": str(error)}


def _extra(extra: str, parts: tuple[str, ...]) -> dict[str, str]:
    lacking = [part for part in parts if find_spec(part) is None]
    if not lacking:
        return {"name": extra, "status": "ok", "detail": ", ".join(parts)}
    line = f"pip install 'hasten[{extra}]' adds {', '.join(lacking)}"
    return {"name": extra, "status": "missing", "detail": line}


def _sqlite() -> str:
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        message = f"SQLite {sqlite3.sqlite_version} is older than {wanted}"
        raise HastenError(message)
    return sqlite3.sqlite_version


def _database() -> str:
    async def count(runtime: object) -> int:
        return len(await runtime.runs(RunFilter(limit=1000)))  # type: ignore[attr-defined]

    return f"{with_runtime(count)} recent runs"


def _port() -> str:
    settings = load_settings()
    return f"{settings.host}:{free_port(settings.host, settings.port)} is free"
