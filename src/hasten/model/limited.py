"""So many calls at once and no more: a dozen sections side by side must not drown an endpoint.

Owns the fixed limit and the queue before it, first come first served. The
wait is recorded as a ``queue`` span and ends with the caller's own deadline:
a caller that is cancelled leaves the queue. ``chain`` puts it around the wire.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.model.base import Model
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from hasten.model.base import Chunk, Request, Response


class LimitedModel(Model):
    """Lets at most ``concurrency`` calls of ``inner`` run at the same time, on each event loop."""

    def __init__(self, inner: Model, concurrency: int) -> None:
        if concurrency < 1:
            message = f"concurrency must be at least 1, not {concurrency}"
            raise ValueError(message)
        self._inner = inner
        self._concurrency = concurrency
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    @property
    def name(self) -> str:
        """Who answers when a request names no model."""
        return self._inner.name

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Wait for a slot, then hold it until the stream ends or is closed."""
        async with self._slot(), aclosing(self._inner.stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: Request) -> Response:
        """Wait for a slot, then ask."""
        async with self._slot():
            return await self._inner.complete(request)

    async def close(self) -> None:
        """Close what is limited."""
        await self._inner.close()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        slots = self._slots.setdefault(loop, asyncio.Semaphore(self._concurrency))
        if slots.locked():
            with span("queue", f"slot for {self.name}", model=self.name):
                await slots.acquire()
        else:
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()
