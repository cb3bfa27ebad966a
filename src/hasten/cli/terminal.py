"""What the verbs share: where answers and progress go, JSON, files, opening the runtime."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import orjson
import typer
from rich.console import Console

from hasten.clock import current_clock
from hasten.errors import InvalidInput
from hasten.trace.waterfall import duration_label

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from hasten.app import App
    from hasten.settings import Settings
    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span
    from hasten.wire import Runtime
    from hasten.wire_stores import Stores

T = TypeVar("T")
OpenStores = TypeVar("OpenStores", bound="Stores")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

out = Console(highlight=False)
"""For answers."""

err = Console(stderr=True, highlight=False)
"""For progress and everything else that is not the answer."""


def write_json(value: object) -> None:
    """Write ``value`` as indented JSON and nothing else."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def write_file(path: Path, content: bytes) -> None:
    """Write a file somebody asked for, and say so. Raises ``InvalidInput`` when it cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise InvalidInput(message, field="--output", value=str(path)) from None
    err.print(f"wrote {path}", soft_wrap=True)


def with_runtime(
    work: Callable[[Runtime], Awaitable[T]],
    settings: Settings | None = None,
    apps: Mapping[str, App] | None = None,
) -> T:
    """Open the runtime that ``settings`` (by default those in force) describe, work, close it.

    ``apps`` are by default all that are installed.
    SIGTERM ends it as Ctrl-C does: what runs is stored as cancelled.
    """
    from hasten.settings import load_settings
    from hasten.wire import Runtime

    return _with_opened(lambda: Runtime.open(settings or load_settings(), apps), work)


def with_stores(work: Callable[[Stores], Awaitable[T]]) -> T:
    """Open the stores alone, which takes a third of a runtime's time, work, close them."""
    from hasten.settings import load_settings
    from hasten.wire_stores import Stores

    return _with_opened(lambda: Stores.open(load_settings()), work)


def _with_opened(
    opening: Callable[[], Awaitable[OpenStores]], work: Callable[[OpenStores], Awaitable[T]]
) -> T:
    async def opened() -> T:
        interrupted_by_sigterm()
        stores = await opening()
        try:
            return await work(stores)
        finally:
            await stores.close()

    try:
        return asyncio.run(opened())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def interrupted_by_sigterm() -> None:
    """Let the first SIGTERM cancel this task, as Ctrl-C does, and let further ones be.

    Also where a shell that put the command in the background has it ignore Ctrl-C.
    Signals are the main thread's; in another one, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, interrupt)


def stored_run(run_id: str) -> tuple[RunRecord, list[Span]]:
    """Return a run of this state folder, whoever's it is. Raises ``NotFound``."""

    async def found(runtime: Runtime) -> tuple[RunRecord, list[Span]]:
        return await runtime.sink.run(run_id), await runtime.sink.spans(run_id)

    return with_runtime(found, apps={})


def seconds(value: float | None) -> str:
    """Return a duration as people read it: ``93.2 s``, ``140 ms``, ``–`` for none."""
    return "–" if value is None else duration_label(value)


def milliseconds(value: float) -> str:
    """Return a duration in milliseconds as people read it."""
    return seconds(value / 1e3)


def day(at_s: float) -> str:
    """Return a moment as a day and a minute, UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(at_s: float) -> str:
    """Return how long ago a moment was, in one unit: ``now``, ``5 min ago``, ``3 h ago``."""
    age_s = current_clock().now() - at_s
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= length_s:
            return f"{age_s // length_s:.0f} {unit} ago"
    return "now"
