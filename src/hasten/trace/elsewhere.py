"""Following a run that another process executes, or will: what it has stored, as it comes.

Owns ``RunsElsewhere``. Leaves runs of this process to their own ``log``, and hearing
of news to ``wire``, which calls ``hear`` when there may be any.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hasten.trace.event import RunEvent
    from hasten.trace.log import Sink

LOOK_S = 1.0
"""A run is looked at so often, at least, for news that was not heard."""

OPEN = ("queued", "running")
"""The states of a run that is not over."""


class RunsElsewhere:
    """The runs of a sink, as they are followed from a process that does not execute them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._is_closed = False

    def hear(self, run_id: str = "") -> None:
        """Look whether there are new events of a run; "" means of any."""
        for one in [run_id] if run_id else list(self._news):
            heard = self._news.pop(one, None)
            if heard is not None:
                heard.set()

    def close(self) -> None:
        """Let those who follow end."""
        self._is_closed = True
        self.hear()

    async def follow(
        self, run_id: str, after: int, here: Callable[[], object]
    ) -> AsyncIterator[RunEvent]:
        """Yield the events above ``after``, to the run's end or until it is ``here``.

        Raises ``NotFound``, ``StoreUnavailable``.
        """
        while here() is None:
            news = self._news.get(run_id)
            if news is None:
                news = self._news[run_id] = asyncio.Event()
            status = (await self._sink.run(run_id)).status
            for event in await self._sink.events(run_id, after=after):
                yield event
                after = event.seq or after
            if status not in OPEN or self._is_closed:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_S)

    async def end_of(self, run_id: str, within_s: float) -> None:
        """Wait for a run's end, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                async for _ in self.follow(run_id, 0, lambda: None):
                    pass
