"""Threads for the contestants that are not async: the way there, and back to the loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

THREADS = 110
"""One for each caller of the benchmark, so that none waits for another's thread."""


class Threads:
    """Runs blocking functions on threads, which may ask the loop in turn."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    def run(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Return what waits for ``function`` on a thread."""
        return self._loop.run_in_executor(self._pool, partial(function, *args))

    def wait_for(self, fetch: Callable[..., Awaitable[str]], *args: Any) -> str:
        """Wait, on a thread, for what ``fetch`` computes on the loop."""

        async def compute() -> str:
            return await fetch(*args)

        return asyncio.run_coroutine_threadsafe(compute(), self._loop).result()


@contextmanager
def threads() -> Iterator[Threads]:
    """Give threads for this block; those still busy then are left to themselves."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield Threads(pool)
    finally:
        pool.shutdown(wait=False)
