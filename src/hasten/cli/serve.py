"""``hasten serve``: the server process, its state folder and its socket.

Owns what happens before the first request: the checks that must fail loudly
(no keys on an open address, a second server on one state folder, a taken
port). Leaves the application to ``serve.create_app``. ``sim`` listens with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hasten.cli.terminal import err, with_runtime
from hasten.clock import current_clock
from hasten.errors import HastenError, MissingExtra, SettingsError
from hasten.serve.admission import refuse_open_bind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from hasten.app import App
    from hasten.settings import Settings
    from hasten.wire import Runtime

LOCK = "server.lock"
"""The file in the state folder that the server using it holds locked; its process id is in it."""

LOOK_EVERY_S = 0.01
LOOK_AFTER_PARENT_S = 1.0
KILL_AFTER_S = 10
"""A worker that has not stopped by itself within so many seconds is killed."""

RESPAWN_S = 0.5
"""One of several workers that died is replaced, at most so often."""

CONNECTION_BYTES = 16_384
"""What a connection holds at most that its client has not read, or not yet sent the rest of."""

SWITCH_S = 0.0005
"""A thread that has work for the interpreter gives way to the event loop so soon (default 5 ms)."""

COLLECT_AFTER = (10_000, 20, 50)
"""Garbage is looked for after so many new objects; by default 700, and everything is looked at."""


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
        # Here, not in a worker: what cannot be opened ends the command with its own exit code.
        apps: dict[str, App] | None = {} if gateway_only else None
        with_runtime(functools.partial(_refuse_open_bind, settings.host), settings, apps)
        port = free_port(settings.host, settings.port)
        answering = settings.model or "the simulated model, no key needed"
        ready = (
            f"[bold]Hasten[/bold] on {url_of(settings.host, port)}  ·  {answering}\n"
            f"[dim]console /  ·  API docs /docs  ·  state in {settings.home}[/dim]"
        )
        if settings.workers > 1:
            ready += f"\n[dim]{settings.workers} workers, which share runs through {shared}[/dim]"
        chosen = settings.model_copy(update={"port": port})
        if gateway_only:
            ready = f"[bold]Hasten gateway[/bold] on {url_of(settings.host, port)}/v1"
            _listen_alone(chosen, ready)
        else:
            load = functools.partial(_load, chosen)
            listen(load, settings.host, port, ready, settings.workers)


def _listen_alone(settings: Settings, ready: str) -> None:
    """Serve the gateway and nothing else, in a worker process, until interrupted."""
    server = _server(settings.host, settings.port, "RSGI", settings.workers)
    with _untold() as token:
        tell = functools.partial(_tell, ready, settings.host, settings.port, token)
        work = functools.partial(_work_alone, settings, tell)
        server.serve(target_loader=work, wrap_loader=False)


def _work_alone(settings: Settings, tell: Callable[[], Coroutine[Any, Any, None]]) -> Any:
    """Return the gateway for the worker."""
    os.setpgrp()  # as in _work
    _set_up_worker(settings)
    from hasten.serve.gateway.alone import GatewayAlone

    def beside() -> list[Coroutine[Any, Any, None]]:
        return [tell(), _watch_parent()]

    return GatewayAlone(settings, beside)


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
    """Write the log to standard output, and let the loop wait for no thread of a store."""
    sys.setswitchinterval(SWITCH_S)
    level = settings.log_level.upper()
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stdout, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


async def _refuse_open_bind(host: str, runtime: Runtime) -> None:
    refuse_open_bind(host, has_keys=await runtime.keys.any())


@dataclass(frozen=True)
class Served:
    """An ASGI application and what ends its long answers when the server is to stop."""

    app: Any
    stop: Callable[[], None] = lambda: None


def shared_through(settings: Settings) -> str:
    """Say what workers follow each other's runs through. Raises ``SettingsError`` for nothing."""
    from hasten.store.sql.open import sql_url

    url = sql_url(settings.runs_url)
    if settings.workers > 1 and url.database == ":memory:":
        message = f"{settings.workers} workers cannot share a database in memory: {url}"
        raise SettingsError(message)
    if settings.redis_url:
        return "Redis"
    return "this machine's SQLite" if url.drivername == "sqlite" else "PostgreSQL"


def listen(load: Callable[[], Served], host: str, port: int, ready: str, workers: int = 1) -> None:
    """Serve what ``load`` returns, in worker processes, until interrupted.

    ``ready`` is told once one answers; a worker that dies is replaced if there are several.
    Raises ``MissingExtra``.
    """
    server = _server(host, port, "ASGI", workers)
    with _untold() as token:
        tell = functools.partial(_tell, ready, host, port, token)
        server.serve(target_loader=functools.partial(_work, load, tell), wrap_loader=False)


@contextmanager
def _untold() -> Iterator[Path]:
    """Give a file for whichever worker is ready first to take away, and tell."""
    with tempfile.TemporaryDirectory(prefix="hasten-") as folder:
        token = Path(folder) / "untold"
        token.touch()
        yield token


def _server(host: str, port: int, interface: str, workers: int) -> Any:
    try:
        from granian import Granian
        from granian.constants import Interfaces
        from granian.http import HTTP1Settings
        from granian.log import LogLevels
    except ImportError:
        part = "the server"
        raise MissingExtra(part, "server") from None
    return Granian(
        "hasten",
        address=host,
        port=port,
        interface=Interfaces[interface],
        log_level=LogLevels.error,
        workers=workers,
        respawn_failed_workers=workers > 1,
        respawn_interval=RESPAWN_S,
        workers_kill_timeout=KILL_AFTER_S,
        http1_settings=HTTP1Settings(max_buffer_size=CONNECTION_BYTES),
    )


def _work(load: Callable[[], Served], tell: Callable[[], Coroutine[Any, Any, None]]) -> Any:
    """Return the application of ``load`` for the worker: it says when it is there, and stops."""
    os.setpgrp()  # Ctrl-C reaches the parent only, which then stops its worker, once
    try:
        served = load()
    except HastenError as error:
        sys.exit(f"hasten: {error}")

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await served.app(scope, receive, send)
            return
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop, served)
        async with asyncio.TaskGroup() as beside:
            tasks = [beside.create_task(tell()), beside.create_task(_watch_parent())]
            await served.app(scope, receive, send)
            for task in tasks:
                task.cancel()

    return watched


def _stop(served: Served) -> None:
    """End the answers under way, then let Granian stop, which waits for them.

    It stops at SIGINT as well as at SIGTERM, and hangs now and then when told twice.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    served.stop()
    os.kill(os.getpid(), signal.SIGINT)


async def _watch_parent() -> None:
    """Stop when the parent was killed: a worker alone would keep port and state folder."""
    parent = os.getppid()
    while os.getppid() == parent:
        await current_clock().sleep(LOOK_AFTER_PARENT_S)
    os.kill(os.getpid(), signal.SIGTERM)


async def _tell(ready: str, host: str, port: int, token: Path) -> None:
    """Say ``ready`` once the port takes connections, which is after the application's startup.

    Of several workers the first one says it, who takes ``token`` away.
    """
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await current_clock().sleep(LOOK_EVERY_S)
        else:
            writer.close()
            _keep_what_is_loaded()
            if _is_first(token):
                err.print(ready, soft_wrap=True)
            return


def _keep_what_is_loaded() -> None:
    """Spare the collector what a started server holds: it is no garbage, and all calls wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _is_first(token: Path) -> bool:
    try:
        token.unlink()
    except FileNotFoundError:
        return False
    return True


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
