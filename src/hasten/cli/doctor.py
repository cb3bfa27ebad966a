"""``hasten doctor``: what this machine has, what it lacks, and the line that mends it."""

from __future__ import annotations

import asyncio
import platform
import sqlite3
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from hasten.app import find_apps
from hasten.cli.serve import free_port, holder, url_of
from hasten.cli.terminal import AsJson, out, with_runtime, write_json
from hasten.errors import HastenError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.settings import Settings
    from hasten.wire import Runtime

MINIMUM_SQLITE = (3, 35, 0)
EXTRAS = {"server": ("granian", "fastapi", "uvloop"), "postgres": ("asyncpg",), "redis": ("redis",)}
MARKS = {"ok": "[green]ok[/green]", "missing": "[yellow]–[/yellow]", "failed": "[red]no[/red]"}
ANSWER_WITHIN_S = 5.0
KEY_REFUSED = {401, 403}
KEY_NAMES = {
    "openai": "OPENAI_API_KEY",
    "responses": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
}


class Check(NamedTuple):
    """What was looked at, how it stands, and what to do about it if it is not ``ok``.

    ``missing`` is a part one can do without.
    """

    name: str
    status: Literal["ok", "missing", "failed"]
    detail: str


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("doctor", help=what)(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Check each part; exit 1 if one that is needed is missing."""
    found = checks()
    if as_json:
        write_json([check._asdict() for check in found])
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in found:
            table.add_row(MARKS[check.status], check.name, escape(check.detail))
        out.print(table)
    if any(check.status == "failed" for check in found):
        raise typer.Exit(1)


def checks() -> list[Check]:
    """Look at everything; what depends on settings only if they can be read."""
    from hasten.settings import load_settings

    found = [
        _checked("python", platform.python_version),
        _checked("sqlite", _sqlite),
        *(_extra(extra, parts) for extra, parts in EXTRAS.items()),
        _checked("apps", lambda: ", ".join(find_apps()) or "none installed"),
    ]
    try:
        settings = load_settings()
    except HastenError as error:
        return [*found, Check("settings", "failed", str(error))]
    return [
        *found,
        _checked("state", lambda: _state(settings)),
        _checked("database", lambda: _database(settings)),
        _checked("model", lambda: _model(settings)),
        _checked("port", lambda: _port(settings)),
    ]


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except MissingExtra as error:
        return Check(name, "missing", str(error))
    except (HastenError, OSError) as error:
        return Check(name, "failed", str(error))


def _extra(extra: str, parts: tuple[str, ...]) -> Check:
    lacking = [part for part in parts if find_spec(part) is None]
    if not lacking:
        return Check(extra, "ok", ", ".join(parts))
    return Check(extra, "missing", f"pip install 'hasten[{extra}]' adds {', '.join(lacking)}")


def _sqlite() -> str:
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        message = f"SQLite {sqlite3.sqlite_version} is older than {wanted}: use a newer Python"
        raise HastenError(message)
    return sqlite3.sqlite_version


def _state(settings: Settings) -> str:
    pid = holder(settings.home)
    return f"{settings.home}{f', in use by the server with process id {pid}' if pid else ''}"


def _database(settings: Settings) -> str:
    async def name(runtime: Runtime) -> str:
        return runtime.database

    return with_runtime(name, settings)


def _model(settings: Settings) -> str:
    """Ask the endpoint for its list of models: any answer but a refused key will do."""
    if settings.is_simulated:
        return "simulated: needs nothing"
    from hasten.model.providers import named
    from hasten.wire_models import real_wire

    wire = real_wire(settings)
    url = wire.listing_url
    status, _ = asyncio.run(_get(url, wire.headers))
    if status in KEY_REFUSED:
        name = KEY_NAMES[named(settings.model).protocol]
        message = f"{url} refuses the key ({status}): set {name}"
        raise HastenError(message)
    return f"{wire.name} at {url.removesuffix('/models')}"


def _port(settings: Settings) -> str:
    url = url_of(settings.host, settings.port)
    try:
        free_port(settings.host, settings.port)
    except HastenError:
        with suppress(HastenError):
            _, body = asyncio.run(_get(f"{url}/health", {}))
            if b'"live_runs"' in body:
                return f"{settings.port} is in use by a server of Hasten: {url}"
        raise
    return f"{settings.host}:{settings.port} is free"


async def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body of a GET. Raises ``HastenError`` when nothing answers."""
    import aiohttp

    within = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=within) as session,
            session.get(url, headers=headers) as reply,
        ):
            return reply.status, await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"{url} does not answer: {error or 'too slow'}"
        raise HastenError(message) from None
