"""A second call beside one that is unusually slow to begin; who speaks first is heard.

Owns when a call is slow, after Dean and Barroso, "The Tail at Scale", CACM 2013:
later than most of late, and for a small share of calls only. Leaves repeating what
failed to ``retrying``. ``chain`` puts it there where both calls are limited and traced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hasten.clock import Clock, current_clock
from hasten.model.base import Model, OuterModel
from hasten.model.budget import CallBudget
from hasten.trace.recorder import emit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Request, Response

_REMEMBERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgePolicy:
    """When a second call is worth its tokens.

    After ``after_s`` seconds without a first piece; by default after the time within
    which the share ``quantile`` of the latest calls began, known after ``samples`` of
    them. At most ``share`` of the calls of the last minute.
    """

    after_s: float | None = None
    quantile: float = 0.95
    samples: int = 20
    share: float = 0.05


class HedgedModel(OuterModel):
    """Asks ``inner`` once more when a call is slow to begin; the slower one is cancelled.

    A plain call is read as a stream, since only that tells when an answer began.
    ``hedges`` counts second calls, ``won`` those that were heard, ``stopped`` the calls
    that were cancelled for it. Raises the first call's error when both fail.
    """

    def __init__(self, inner: Model, policy: HedgePolicy | None = None) -> None:
        super().__init__(inner)
        self._policy = policy or HedgePolicy()
        self._budgets: WeakKeyDictionary[Clock, CallBudget] = WeakKeyDictionary()
        self._first_s: dict[str, deque[float]] = {}
        self.hedges = self.won = self.stopped = 0

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Answer piece by piece, from whichever call begins first."""
        began = [self._inner.stream(request)]
        firsts: list[asyncio.Future[Chunk]] = [asyncio.ensure_future(anext(began[0]))]
        try:
            heard = await self._race(request, began, firsts)
            async with aclosing(began[heard]) as chunks:
                yield firsts[heard].result()
                async for chunk in chunks:
                    yield chunk
        finally:
            await _stop(began, firsts)

    async def complete(self, request: Request) -> Response:
        """Answer whole, read from the stream."""
        return await Model.complete(self, request)

    async def _race(
        self,
        request: Request,
        began: list[AsyncGenerator[Chunk, None]],
        firsts: list[asyncio.Future[Chunk]],
    ) -> int:
        """Return the place of the call that began first, once its first piece is there."""
        clock = current_clock()
        start_s = clock.monotonic()
        after_s = self._after_s(request)
        budget = self._budget(clock)
        budget.note_call(start_s)
        delay_s = None if after_s is None else clock.loop_delay(after_s)
        done, _ = await asyncio.wait(firsts, timeout=delay_s)
        if not done and budget.take(clock.monotonic()):
            self.hedges += 1
            began.append(self._inner.stream(request))
            firsts.append(asyncio.ensure_future(anext(began[1])))
        heard = await _first_good(firsts)
        if len(firsts) > 1:
            self.won += heard
            self.stopped += not _has_failed(firsts[1 - heard])
            await _stop([began[1 - heard]], [firsts[1 - heard]])
            model = request.model or self.name
            emit("model.hedged", model=model, after_s=after_s, second_won=bool(heard))
        if not heard:
            self._remember(request, clock.monotonic() - start_s)
        return heard

    def _after_s(self, request: Request) -> float | None:
        """Return after how long a call is slow; ``None`` while that is not known."""
        if self._policy.after_s is not None:
            return self._policy.after_s
        known = self._first_s.get(request.model, ())
        if len(known) < self._policy.samples:
            return None
        return sorted(known)[min(int(len(known) * self._policy.quantile), len(known) - 1)]

    def _remember(self, request: Request, first_s: float) -> None:
        known = self._first_s.setdefault(request.model, deque(maxlen=_REMEMBERED))
        known.append(first_s)

    def _budget(self, clock: Clock) -> CallBudget:
        found = self._budgets.get(clock)
        if found is None:
            found = self._budgets[clock] = CallBudget(share=self._policy.share)
        return found


async def _first_good(firsts: list[asyncio.Future[Chunk]]) -> int:
    """Return the place of the first to give a piece; raise the first call's error if none does."""
    left = set(firsts)
    while left:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for place, first in enumerate(firsts):
            if first in done and first.exception() is None:
                return place
    firsts[0].result()
    raise AssertionError


def _has_failed(first: asyncio.Future[Chunk]) -> bool:
    return first.done() and first.exception() is not None


async def _stop(
    began: list[AsyncGenerator[Chunk, None]], firsts: list[asyncio.Future[Chunk]]
) -> None:
    """End calls that nobody listens to."""
    for first in firsts:
        first.cancel()
    await asyncio.gather(*firsts, return_exceptions=True)
    for chunks in began:
        await chunks.aclose()
