"""Bare ``asyncio.TaskGroup``: a task a step that awaits the tasks it needs, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bench.shapes import Shape


async def prepare(shape: Shape) -> Callable[[], Awaitable[int]]:
    """Return a call that makes all tasks at once."""
    functions = shape.functions()

    async def work(
        function: Callable[..., Coroutine[Any, Any, int]], needs: dict[str, asyncio.Task[int]]
    ) -> int:
        return await function(**{name: await task for name, task in needs.items()})

    async def call() -> int:
        tasks: list[asyncio.Task[int]] = []
        async with asyncio.TaskGroup() as group:
            for function, needs in zip(functions, shape.needs, strict=True):
                given = {f"s{one}": tasks[one] for one in needs}
                tasks.append(group.create_task(work(function, given)))
        return tasks[-1].result()

    return call
