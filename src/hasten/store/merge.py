"""Many small calls made one: what is asked in the same instant travels together.

Owns merging and its two promises: whoever asks waits for their own answer only,
so one that is cancelled can never leave its answer to another, and nobody waits
longer than one deadline for a store that does not answer. ``redis`` and ``disk``
read and write through it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from hasten.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hasten.store.base import Item

T = TypeVar("T")
R = TypeVar("R")

BATCH_THINGS = 512
"""At most so many things go to the store at once."""


class _Call(NamedTuple, Generic[T, R]):
    """Somebody's call: what they brought, and where their answer goes."""

    things: Sequence[T]
    answer: asyncio.Future[R]


class MergedCalls(Generic[T, R]):
    """Merges calls: one batch at a time is with the store, what comes meanwhile is the next.

    ``serve`` does a batch's work and says what each call gets; it must end within
    its deadline. When it finds the store unavailable, those who wait are told so, too.
    """

    def __init__(self, serve: Callable[[Sequence[Sequence[T]]], Awaitable[Sequence[R]]]) -> None:
        self._serve = serve
        self._waiting: list[_Call[T, R]] = []
        self._task: asyncio.Task[None] | None = None

    async def call(self, things: Sequence[T]) -> R:
        """Return the answer to one call. Raises what ``serve`` raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Call(things, answer))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._serve_all(), name="merged calls")
        return await answer

    async def _serve_all(self) -> None:
        while batch := self._take():
            try:
                answers = await self._serve([call.things for call in batch])
            except StoreError as error:
                if isinstance(error, StoreUnavailable):
                    batch += self._waiting
                    self._waiting = []
                _fail(batch, error)
            except BaseException as error:
                _fail(batch + self._waiting, StoreError(f"the call ended: {error!r}"))
                self._waiting = []
                raise
            else:
                for call, answer in zip(batch, answers, strict=True):
                    if not call.answer.done():
                        call.answer.set_result(answer)

    def _take(self) -> list[_Call[T, R]]:
        """Return the calls of the next batch; a read that nobody waits for is left out."""
        waiting = [call for call in self._waiting if not call.answer.done()]
        count = things = 0
        while count < len(waiting) and (count == 0 or things < BATCH_THINGS):
            things += len(waiting[count].things)
            count += 1
        self._waiting = waiting[count:]
        return waiting[:count]


def merged_reads(
    fetch: Callable[[list[bytes]], Awaitable[list[bytes | None]]],
) -> MergedCalls[bytes, list[bytes | None]]:
    """Return merged calls that read keys by ``fetch``, each key once a batch."""

    async def serve(calls: Sequence[Sequence[bytes]]) -> list[list[bytes | None]]:
        wanted = list(dict.fromkeys(key for keys in calls for key in keys))
        found = dict(zip(wanted, await fetch(wanted), strict=True))
        return [[found[key] for key in keys] for keys in calls]

    return MergedCalls(serve)


def merged_writes(keep: Callable[[list[Item]], Awaitable[None]]) -> MergedCalls[Item, None]:
    """Return merged calls that write items by ``keep``, the last of a key only."""

    async def serve(calls: Sequence[Sequence[Item]]) -> list[None]:
        await keep(list({item.key: item for items in calls for item in items}.values()))
        return [None] * len(calls)

    return MergedCalls(serve)


def _fail(calls: Sequence[_Call[T, R]], error: StoreError) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(type(error)(str(error), store=error.store))
