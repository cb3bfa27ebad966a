"""``hasten serve``: the server process, its state folder and its socket.

Owns the checks that must fail loudly before anything is loaded (a second server on one
state folder, a taken port). Leaves the processes to ``workers`` and the application to
``serve.create_app``.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hasten.cli.workers import Served, faint, listen, strong
from hasten.errors import SettingsError
from hasten.interpreter import let_threads_give_way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasten.settings import Settings

LOCK = "server.lock"
"""The file in the state folder that the server using it holds locked; its process id is in it."""


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("serve", help=what)(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 picks one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder that holds all state.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask at OPENAI_BASE_URL.")] = None,
    speed: Annotated[float | None, typer.Option(help="Pace of simulated runs.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve.")] = None,
    gateway_only: Annotated[
        bool, typer.Option("--gateway-only", help="Only the gateway: smaller, sooner, faster.")
    ] = False,
) -> None:
    """Serve until interrupted; runs under way are then stored as cancelled."""
    from hasten.settings import load_settings

    flags = {"host": host, "port": port, "home": home, "model": model, "speed": speed}
    settings = load_settings(**flags, workers=workers)
    shared = shared_through(settings)
    with only_server(settings.home):
        port = free_port(settings.host, settings.port)
        answering = settings.model or "the simulated model, no key needed"
        ready = f"{strong('Hasten')} on {url_of(settings.host, port)}  ·  {answering}\n" + faint(
            f"console /  ·  API docs /docs  ·  state in {settings.home}"
        )
        if settings.workers > 1:
            said = f"{settings.workers} workers, which share runs through {shared}"
            ready += f"\n{faint(said)}"
        chosen = settings.model_copy(update={"port": port})
        if gateway_only:
            ready = f"{strong('Hasten gateway')} on {url_of(settings.host, port)}/v1"
        load = functools.partial(_load_alone if gateway_only else _load, chosen)
        interface: Literal["ASGI", "RSGI"] = "RSGI" if gateway_only else "ASGI"
        listen(load, settings.host, port, ready, workers=settings.workers, interface=interface)


def _load_alone(settings: Settings) -> Served:
    """Build the gateway inside the worker process."""
    _set_up_worker(settings)
    from hasten.serve.gateway.alone import GatewayAlone

    return Served(GatewayAlone(settings))


def _load(settings: Settings) -> Served:
    """Build the application inside the worker process; its log goes to standard output."""
    _set_up_worker(settings)
    from hasten.serve import create_app

    guard = create_app(settings)

    def stop() -> None:
        guard.app.state.jobs.stop()
        guard.app.state.runtime.cancel_runs()
        guard.app.state.feeds.hurry()

    return Served(guard, stop)


def _set_up_worker(settings: Settings) -> None:
    """Write the log to standard output, and let the event loop come first."""
    let_threads_give_way()
    level = settings.log_level.upper()
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stdout, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def shared_through(settings: Settings) -> str:
    """Say what workers follow each other's runs through. Raises ``SettingsError`` for nothing."""
    from hasten.store.sql import sql_url, sqlite_path

    path = sqlite_path(settings.runs_url)
    if settings.workers > 1 and path == ":memory:":
        message = (
            f"{settings.workers} workers cannot share a database in memory: {settings.runs_url}"
        )
        raise SettingsError(message)
    if path is None:
        sql_url(settings.runs_url)
    if settings.redis_url:
        return "Redis"
    return "PostgreSQL" if path is None else "this machine's SQLite"


@contextmanager
def only_server(home: Path) -> Iterator[None]:
    """Hold the state folder; a second server on it is told who has it. Raises ``SettingsError``."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (home / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        message = f"the state folder {home} cannot be used: {error.strerror}; see --home"
        raise SettingsError(message) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            message = (
                f"another server (process {holder(home)}) uses the state folder {home}; "
                "stop it, or give this one its own with --home"
            )
            raise SettingsError(message) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(home: Path) -> str:
    """Return the process id of the server that uses the state folder, or nothing."""
    try:
        with (home / LOCK).open(encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return lock.read().strip() or "unknown"
    except FileNotFoundError:
        pass
    return ""


def free_port(host: str, port: int) -> int:
    """Return ``port`` if it can be bound, or a free one for 0. Raises ``SettingsError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
            raise SettingsError(message) from None
        chosen: int = probe.getsockname()[1]
        return chosen


def url_of(host: str, port: int) -> str:
    """Return the address people open in a browser."""
    name = {"127.0.0.1": "localhost", "::1": "localhost"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
