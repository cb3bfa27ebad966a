"""A thread with an inbox: work in, answers out, and what has piled up is done together.

Owns the thread and the way there and back, so that the event loop never waits
for a disk. Leaves the file, its commits and its errors to the two that build on
it: ``disk_thread`` for a store of bytes, ``sql/sqlite_thread`` for tables.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

BATCH_WORKS = 512
"""At most so many pieces of work are taken from the inbox at once."""


class StoreWork(NamedTuple):
    """A function of a connection, and the answer somebody awaits."""

    function: Callable[[Any], Any]
    is_write: bool
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class StoreOutcome(NamedTuple):
    """What came of a piece of work: its value, or the error."""

    work: StoreWork
    value: Any = None
    error: Exception | None = None


class StoreThread(ABC):
    """Takes work from any event loop and does it on one thread, in ``do``.

    The thread starts with the first piece of work, and again after a ``close``.
    """

    def __init__(self, name: str) -> None:
        self._name = f"hasten {name}"
        self._inbox: SimpleQueue[StoreWork | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, function: Callable[[Any], T], *, is_write: bool) -> asyncio.Future[T]:
        """Put work into the inbox; work whose answer was cancelled before its turn is left out."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._inbox.put(StoreWork(function, is_write, loop, answer))
        return answer

    async def close(self, within_s: float) -> None:
        """Do the work that is waiting, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
            await asyncio.to_thread(thread.join, within_s)

    @abstractmethod
    def do(self, works: list[StoreWork]) -> float | None:
        """Do the work and ``deliver`` what came of it; must not raise.

        Returns for how many seconds to wait for more before ``do`` is called
        without any; ``None`` waits for ever.
        """

    @abstractmethod
    def end(self) -> None:
        """Let go of the connection, if there is one."""

    def _serve(self) -> None:
        """Work through the inbox until it says ``None``; the thread's main function."""
        wait_s: float | None = None
        is_open = True
        while is_open:
            found = self._take(wait_s)
            is_open = None not in found
            wait_s = self.do([work for work in found if work is not None and _is_awaited(work)])
        self.end()

    def _take(self, wait_s: float | None) -> list[StoreWork | None]:
        """Wait so long for work, then take what else is there."""
        found: list[StoreWork | None] = []
        with suppress(Empty):
            found.append(self._inbox.get(timeout=wait_s))
            while len(found) < BATCH_WORKS:
                found.append(self._inbox.get_nowait())
        return found


def deliver(outcomes: Sequence[StoreOutcome]) -> None:
    """Tell those who wait, on their loops: one call a loop, since each wakes it up."""
    for loop in {outcome.work.loop for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.work.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_settle, mine)


def _settle(outcomes: Sequence[StoreOutcome]) -> None:
    for work, value, error in outcomes:
        if not _is_awaited(work):
            continue
        if error is None:
            work.answer.set_result(value)
        else:
            work.answer.set_exception(error)


def _is_awaited(work: StoreWork) -> bool:
    return not work.answer.done()
