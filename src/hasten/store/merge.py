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
        self._is_busy = False
        self._is_crowded = False

    async def call(self, things: Sequence[T]) -> R:
        """Return the answer to one call. Raises what ``serve`` raises.

        A call that finds nobody before it is served at once, by itself, as long as
        calls come one by one.
        """
        loop = asyncio.get_running_loop()
        if not (self._is_busy or self._is_crowded):
            return await self._serve_alone(things, loop)
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Call(things, answer))
        if not self._is_busy:
            self._start(loop)
        return await answer

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_busy = True
        self._task = loop.create_task(self._serve_all(), name="merged calls")

    async def _serve_alone(self, things: Sequence[T], loop: asyncio.AbstractEventLoop) -> R:
        self._is_busy = True
        try:
            return (await self._served([things]))[0]
        finally:
            self._is_busy = False
            if self._waiting:
                self._start(loop)

    async def _serve_all(self) -> None:
        try:
            while batch := self._take():
                self._is_crowded = len(batch) > 1
                try:
                    answers = await self._served([call.things for call in batch])
                except StoreError as error:
                    _fail(batch, error)
                except BaseException:
                    _fail(batch, StoreError("the store is being closed"))
                    raise
                else:
                    _answer(batch, answers)
        finally:
            self._is_busy = False

    async def _served(self, calls: Sequence[Sequence[T]]) -> Sequence[R]:
        """Serve a batch; all who wait are told of an unavailable store."""
        try:
            return await self._serve(calls)
        except StoreUnavailable as error:
            waiting, self._waiting = self._waiting, []
            _fail(waiting, error)
            raise
        except StoreError:
            raise
        except Exception as error:
            message = f"the store failed: {error!r}"
            raise StoreError(message) from error

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


def _answer(calls: Sequence[_Call[T, R]], answers: Sequence[R]) -> None:
    for call, answer in zip(calls, answers, strict=True):
        if not call.answer.done():
            call.answer.set_result(answer)


def _fail(calls: Sequence[_Call[T, R]], error: StoreError) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(type(error)(str(error), store=error.store))
