"""``hasten serve``: the server process, its state folder and its socket.

Owns what happens before the first request: the checks that must fail loudly
(no keys on an open address, a second server on one state folder, a taken
port). Leaves the application to ``serve.create_app``.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import logging
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hasten.cli.terminal import err
from hasten.errors import MissingExtra, SettingsError
from hasten.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def add(command: typer.Typer, what: str) -> None:
    """Add the verb."""
    command.command("serve", help=what)(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 picks one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder that holds all state.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask at OPENAI_BASE_URL.")] = None,
    speed: Annotated[float | None, typer.Option(help="Pace of simulated runs.")] = None,
) -> None:
    """Serve until interrupted."""
    settings = load_settings(host=host, port=port, home=home, model=model, speed=speed)
    with only_server(settings.home):
        asyncio.run(_check_keys(settings))
        settings = settings.model_copy(update={"port": free_port(settings.host, settings.port)})
        where = f"http://{'localhost' if settings.host == '127.0.0.1' else settings.host}"
        model_name = settings.model or "the simulated model (no key needed, nothing leaves here)"
        err.print(f"[bold]Hasten[/bold] on {where}:{settings.port}", soft_wrap=True)
        err.print(f"[dim]{model_name}; state in {settings.home}[/dim]", soft_wrap=True)
        _granian(settings).serve(target_loader=functools.partial(_load, settings))


def _load(settings: Settings, *_args: Any, **_kwargs: Any) -> Any:
    """Build the application inside the worker process; its log goes to standard output."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(message)s", stream=sys.stdout, force=True
    )
    from hasten.serve import create_app

    return create_app(settings)


def _granian(settings: Settings) -> Any:
    try:
        from granian import Granian
        from granian.constants import Interfaces
    except ImportError:
        part = "the server"
        raise MissingExtra(part, "server") from None
    return Granian(
        "hasten.cli.serve:_load",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        log_enabled=settings.log_level == "debug",
    )


async def _check_keys(settings: Settings) -> None:
    from hasten.serve.auth import refuse_open_bind
    from hasten.wire import Runtime

    runtime = await Runtime.open(settings)
    try:
        refuse_open_bind(settings.host, has_keys=await runtime.keys.any())
    finally:
        await runtime.close()


@contextmanager
def only_server(home: Path) -> Iterator[None]:
    """Hold the state folder; a second server on it is told who has it. Raises ``SettingsError``."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            message = (
                f"another server (process {holder}) uses the state folder {home}; "
                "stop it, or give this one its own with --home"
            )
            raise SettingsError(message) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


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
