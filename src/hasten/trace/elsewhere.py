"""Following a run that another process executes, or will: what it has stored, as it comes.

Owns ``RunsElsewhere``. Leaves runs of this process to their own ``log``, and hearing
of news to ``wire``, which calls ``hear`` when there may be any.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

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
        self._news = asyncio.Event()
        self._is_closed = False

    def hear(self) -> None:
        """Look whether there are new events."""
        heard, self._news = self._news, asyncio.Event()
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
            news = self._news
            status = (await self._sink.run(run_id)).status
            for event in await self._sink.events(run_id, after=after):
                yield event
                after = event.seq or after
            if status not in OPEN or self._is_closed:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_S)
