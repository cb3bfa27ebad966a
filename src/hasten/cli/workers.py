"""The processes that serve: one that looks after them, and workers that do the work.

Owns Granian, how workers start, tell that they are there, and stop. The process that was
started stays small: workers are forked from it and load the rest. What a worker cannot
start without ends the command with that error's own exit code. ``serve`` and ``sim``
listen with it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from hasten.clock import current_clock
from hasten.errors import HastenError, MissingExtra
from hasten.interpreter import keep_what_is_loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOK_EVERY_S = 0.01
LOOK_AFTER_PARENT_S = 1.0
KILL_AFTER_S = 10
"""A worker that has not stopped by itself within so many seconds is killed."""

RESPAWN_S = 0.5
"""One of several workers that died is replaced, at most so often."""

CONNECTION_BYTES = 16_384
"""What a connection holds at most that its client has not read, or not yet sent the rest of."""

strong, faint = partial(typer.style, bold=True), partial(typer.style, dim=True)
"""How a line that a server tells is set; rich, for the same, takes a tenth of its start to load."""


@dataclass(frozen=True)
class Served:
    """An application, ASGI or RSGI, and what ends its long answers when the server is to stop."""

    app: Any
    stop: Callable[[], None] = lambda: None


def listen(
    load: Callable[[], Served],
    host: str,
    port: int,
    ready: str,
    *,
    workers: int = 1,
    interface: Literal["ASGI", "RSGI"] = "ASGI",
) -> None:
    """Serve what ``load`` returns, in worker processes, until interrupted.

    ``ready`` is told once one answers; a worker that dies is replaced if there are several.
    Raises ``MissingExtra``, and ``SystemExit`` with the code of an error that no worker
    could start for, which has been told by then.
    """
    server = _server(host, port, interface, workers)
    with tempfile.TemporaryDirectory(prefix="hasten-") as folder:
        start = _Start(Path(folder), os.getpid(), host, port, ready)
        start.token.touch()
        logging.getLogger("_granian").addFilter(lambda _: start.exit_code is None)
        os.register_at_fork(after_in_child=_die_if_told)
        gc.freeze()  # what is here now is shared with the workers as long as nobody writes to it
        try:
            server.serve(target_loader=partial(_work, load, start, interface), wrap_loader=False)
        finally:
            if start.exit_code is not None:
                sys.exit(start.exit_code)


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


def _die_if_told() -> None:
    """Let SIGTERM end a worker that still loads; its parent's handler, which it has, only waits."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass(frozen=True)
class _Start:
    """How a start goes, known to all its processes through files in ``folder``."""

    folder: Path
    parent: int
    host: str
    port: int
    ready: str

    @property
    def token(self) -> Path:
        """What whichever worker is ready first takes away, and tells."""
        return self.folder / "untold"

    @property
    def exit_code(self) -> int | None:
        """The code of the error that a worker could not start for, if there was one."""
        try:
            return int((self.folder / "failed").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    @contextmanager
    def or_end(self) -> Iterator[None]:
        """End the worker if this block raises an error of ours; the first one to do so tells it.

        While nobody serves yet, all of it ends: the others would find the same.
        """
        try:
            yield
        except HastenError as error:
            from hasten.cli import exit_code

            code = exit_code(error)
            with suppress(FileExistsError), (self.folder / "failed").open("x") as failed:
                failed.write(str(code))
                sys.stderr.write(f"hasten: {error}\n")
            if self.token.exists() and os.getppid() == self.parent:
                os.kill(self.parent, signal.SIGTERM)
            sys.exit(code)

    async def tell(self) -> None:
        """Say ``ready`` once the port takes connections, which is after the application's start."""
        while True:
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await current_clock().sleep(LOOK_EVERY_S)
            else:
                writer.close()
                keep_what_is_loaded()
                with suppress(FileNotFoundError):
                    self.token.unlink()
                    typer.echo(self.ready, err=True)
                return


def _work(load: Callable[[], Served], start: _Start, interface: str) -> Any:
    """Return the application of ``load`` for the worker: it says when it is there, and stops."""
    os.setpgrp()  # Ctrl-C reaches the parent only, which then stops its worker, once
    with start.or_end():
        served = load()
    return _WatchedRsgi(served, start) if interface == "RSGI" else _watched_asgi(served, start)


def _watched_asgi(served: Served, start: _Start) -> Callable[..., Any]:
    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await served.app(scope, receive, send)
            return
        async with asyncio.TaskGroup() as beside:
            tasks: list[asyncio.Task[None]] = []

            async def begun(message: Any) -> None:
                if message["type"] == "lifespan.startup.failed":
                    return  # the error itself follows: Granian tells one that is not ours
                await send(message)
                if message["type"] == "lifespan.startup.complete":
                    tasks.extend(_begin(served, start, beside.create_task))

            with start.or_end():
                await served.app(scope, receive, begun)
            for task in tasks:
                task.cancel()

    return watched


class _WatchedRsgi:
    """An RSGI application that says when it is there, and stops."""

    def __init__(self, served: Served, start: _Start) -> None:
        self.__rsgi__ = served.app.__rsgi__
        self._served = served
        self._start = start
        self._tasks: list[asyncio.Task[None]] = []

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the application before the first request."""
        with self._start.or_end():
            self._served.app.__rsgi_init__(loop)
        self._tasks = _begin(self._served, self._start, loop.create_task)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the application store what is left."""
        for task in self._tasks:
            task.cancel()
        self._served.app.__rsgi_del__(loop)


def _begin(
    served: Served, start: _Start, create_task: Callable[..., asyncio.Task[None]]
) -> list[asyncio.Task[None]]:
    """Begin what goes on beside an application that has started."""
    asyncio.get_event_loop().add_signal_handler(signal.SIGTERM, _stop, served)
    return [create_task(start.tell()), create_task(_watch_parent(start.parent))]


def _stop(served: Served) -> None:
    """End the answers under way, then let Granian stop, which waits for them.

    It stops at SIGINT as well as at SIGTERM, and hangs now and then when told twice.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
    served.stop()
    os.kill(os.getpid(), signal.SIGINT)


async def _watch_parent(parent: int) -> None:
    """Stop when the parent was killed: a worker alone would keep port and state folder."""
    while os.getppid() == parent:
        await current_clock().sleep(LOOK_AFTER_PARENT_S)
    os.kill(os.getpid(), signal.SIGTERM)
