"""Following a run that another process executes, or will: what it has stored, as it comes.

Owns ``RunsElsewhere``. Leaves runs of this process to their own ``log``, and hearing
of news to ``wire``, which calls ``hear`` when there may be any.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from hasten.clock import current_clock
from hasten.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hasten.trace.event import RunEvent, RunRecord
    from hasten.trace.log import Sink

LOOK_S = 1.0
"""A run is looked at so often, at least, for news that was not heard."""

NEW_S = 5.0
"""A run that is not stored may have begun so long ago, by the clock of the machine it runs on."""

_ID = re.compile(r"run_([0-9a-f]{12})[0-9a-f]{10}")
"""The id of a run, in which is when it began: see ``graph.outcome.new_run_id``."""

OPEN = ("queued", "running")
"""The states of a run that is not over."""


class RunsElsewhere:
    """The runs of a sink, as they are followed from a process that does not execute them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._asked: dict[str, asyncio.Task[RunRecord]] = {}
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

    async def record(self, run_id: str) -> RunRecord:
        """Return a run's line; it is waited for if the run can only just have begun.

        Whoever starts a run has its id a moment before others can read of it. A thousand
        readers who come together ask the sink once. Raises ``NotFound``, ``StoreUnavailable``.
        """
        news = self._news_of(run_id)
        try:
            return await self._line(run_id)
        except NotFound:
            if not _is_new(run_id):
                raise
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), LOOK_S)
        return await self._line(run_id)

    async def follow(
        self, run_id: str, after: int, here: Callable[[], object]
    ) -> AsyncIterator[RunEvent]:
        """Yield the events above ``after``, to the run's end or until it is ``here``.

        Raises ``NotFound``, ``StoreUnavailable``.
        """
        while here() is None:
            news = self._news_of(run_id)
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

    async def _line(self, run_id: str) -> RunRecord:
        asked = self._asked.get(run_id)
        if asked is None:
            asked = self._asked[run_id] = asyncio.create_task(self._ask(run_id))
        return await asyncio.shield(asked)

    async def _ask(self, run_id: str) -> RunRecord:
        try:
            return await self._sink.run(run_id)
        finally:
            del self._asked[run_id]

    def _news_of(self, run_id: str) -> asyncio.Event:
        """Return what is set once there may be news of a run, for as long as it is held on to."""
        news = self._news.get(run_id)
        if news is None:
            news = self._news[run_id] = asyncio.Event()
        return news


def _is_new(run_id: str) -> bool:
    found = _ID.fullmatch(run_id)
    return found is not None and abs(current_clock().now() - int(found[1], 16) / 1e3) < NEW_S
