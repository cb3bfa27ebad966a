"""Requests that come within a short window go out together, as the consultant plan asks.

Owns the window. Prompts are never merged: each request stays a call of its own, with
its own answer, and a group only starts in one instant. Leaves how many may run at
once to ``limited``. ``chain`` puts it before the limit, if a policy asks for it.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.clock import current_clock
from hasten.model.base import OuterModel
from hasten.trace.recorder import span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Model, Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """A group leaves when ``size`` requests are there, or ``window_s`` after its first."""

    size: int = 5
    window_s: float = 0.02

    def __post_init__(self) -> None:
        """Refuse a group of nobody. Raises ``ValueError``."""
        if self.size < 1 or self.window_s < 0:
            message = f"a batch has at least 1 request and no negative window: {self}"
            raise ValueError(message)


class BatchedModel(OuterModel):
    """Holds requests to ``inner`` until their group is whole or its time is over.

    ``groups`` counts the groups that left, ``grouped`` the requests in them.
    """

    def __init__(self, inner: Model, policy: BatchPolicy | None = None) -> None:
        super().__init__(inner)
        self._policy = policy or BatchPolicy()
        self._groups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Group] = WeakKeyDictionary()
        self.groups = self.grouped = 0

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Wait for the group, then answer piece by piece."""
        await self._board()
        async with aclosing(self._inner.stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: Request) -> Response:
        """Wait for the group, then ask."""
        await self._board()
        return await self._inner.complete(request)

    async def _board(self) -> None:
        """Wait until the group leaves; who is cancelled leaves it."""
        loop = asyncio.get_running_loop()
        group = self._groups.get(loop)
        if group is None:
            group = self._groups[loop] = _Group()
            delay_s = current_clock().loop_delay(self._policy.window_s)
            group.timer = loop.call_later(delay_s, self._leave, loop)
        group.count += 1
        if group.count >= self._policy.size:
            self._leave(loop)
            return
        with span("queue", f"batch of {self.name}", model=self.name):
            try:
                await asyncio.shield(group.left)
            except asyncio.CancelledError:
                group.count -= 1
                raise

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        group = self._groups.pop(loop)
        if group.timer is not None:
            group.timer.cancel()
        if group.count:
            self.groups += 1
            self.grouped += group.count
        group.left.set_result(None)


class _Group:
    """Requests that leave together."""

    def __init__(self) -> None:
        self.count = 0
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None
