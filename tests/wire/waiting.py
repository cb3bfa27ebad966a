"""Waiting for what a runtime does by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasten.wire import Runtime


async def settled(runtime: Runtime) -> None:
    """Wait until the runtime has put away the runs that have ended."""
    await asyncio.gather(*runtime._endings)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until it is so; the test's own deadline bounds it."""
    while not await look():  # noqa: ASYNC110 - a database tells nobody that a row is gone
        await asyncio.sleep(0.01)
