"""What the verbs share: writing JSON, tables and waterfalls, and opening the runtime."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console

from hasten.settings import load_settings
from hasten.wire import Runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.trace.event import RunRecord
    from hasten.trace.span import Span

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

out = Console(highlight=False)
"""For answers."""

err = Console(stderr=True, highlight=False)
"""For progress and everything else that is not the answer."""


def write_json(value: object) -> None:
    """Write ``value`` as indented JSON and nothing else."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def with_runtime(work: Callable[[Runtime], Awaitable[T]], **flags: Any) -> T:
    """Open the runtime that settings and ``flags`` describe, do ``work``, close it."""

    async def opened() -> T:
        runtime = await Runtime.open(load_settings(**flags))
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    return asyncio.run(opened())


def stored_run(run_id: str) -> tuple[RunRecord, list[Span]]:
    """Return a run of this state folder, whoever's it is. Raises ``NotFound``."""

    async def found(runtime: Runtime) -> tuple[RunRecord, list[Span]]:
        return await runtime.sink.run(run_id), await runtime.sink.spans(run_id)

    return with_runtime(found)


def seconds(value: float | None) -> str:
    """Return a duration as people read it: ``93.2 s``, ``140 ms``, ``–`` for none."""
    if value is None:
        return "–"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1e3:.0f} ms"
