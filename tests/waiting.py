"""Waiting for what happens by itself, in a server, a store or another process."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.wire import Runtime

WITHIN_S = 20.0
"""Longer than anything here takes on the slowest machine: only what never happens takes it."""

LOOK_EVERY_S = 0.01


async def settled(runtime: Runtime) -> None:
    """Wait until the runtime has put away the runs that have ended."""
    await asyncio.gather(*runtime._endings)


async def until(look: Callable[[], bool | Awaitable[bool]], within_s: float = WITHIN_S) -> None:
    """Look again and again until it is so, for what tells nobody: a counter, a row, a process.

    Raises ``TimeoutError``.
    """
    async with asyncio.timeout(within_s):
        while True:
            found = look()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(LOOK_EVERY_S)  # the one place that looks again and again
