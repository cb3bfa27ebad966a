"""A run's feed by itself, in virtual time: what is made once, when it speaks, how long it waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.serve.stream.ai_sdk import AiSdkEncoder
from hasten.serve.stream.feed import PING_S, Batch, Reading, RunFeed
from hasten.serve.stream.hasten import HastenEncoder
from hasten.testing.sink_contract import run_record
from hasten.trace.event import RunEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hasten.serve.stream.message import Encoder
    from hasten.trace.event import RunRecord

ANSWER = "word " * 40


class Fed:
    """A feed whose events are given by hand; ``None`` ends them."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._events: asyncio.Queue[RunEvent | None] = asyncio.Queue()
        self._count = 0
        self.feed = RunFeed(self._take(), encoder or HastenEncoder(), self._record)

    def give(self, type_: str, **data: Any) -> None:
        """Let something happen."""
        self._count += 1
        self._events.put_nowait(RunEvent("r1", type_, 1.0, data=data, seq=self._count))

    def end(self) -> None:
        """Let the run end."""
        self.give("run.finished", status="complete", degraded_by=[], error=None, reuse={})
        self._events.put_nowait(None)

    async def _take(self) -> AsyncIterator[RunEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    async def _record(self) -> RunRecord:
        return run_record("r1")


async def read(feed: RunFeed, chars_per_s: float = 0.0) -> list[Batch]:
    """Read to the end."""
    return [batch async for batch in feed.read(Reading(chars_per_s=chars_per_s))]


def test_what_readers_get_is_made_once() -> None:
    """All who keep up are given the very same batch, whose bytes are put together once."""

    async def main() -> None:
        fed = Fed()
        readers = [asyncio.create_task(read(fed.feed)) for _ in range(3)]
        for number in range(4):
            fed.give("degraded", step="s", reason=str(number))
            await asyncio.sleep(1)
        fed.end()
        first, *others = await asyncio.gather(*readers)
        assert len(first) == 5
        for other in others:
            assert all(one is same for one, same in zip(first, other, strict=True))
        assert first[0].as_sse is others[0][0].as_sse

    virtual.run(main())


def test_a_silent_run_gives_signs_of_life() -> None:
    """Every fifteen seconds, before anything has happened, too: a job may wait for an hour."""

    async def main() -> None:
        fed = Fed()
        reader = asyncio.create_task(read(fed.feed))
        await asyncio.sleep(3.5 * PING_S)
        fed.give("degraded", step="s", reason="r")
        await asyncio.sleep(1.5 * PING_S)
        fed.end()
        sizes = [len(batch.frames) for batch in await reader]
        assert sizes == [0, 0, 0, 1, 0, 1]

    virtual.run(main())


def test_what_a_protocol_has_no_words_for_wakes_nobody() -> None:
    """An event without a message sends nothing, no sign of life either."""

    async def main() -> None:
        fed = Fed(AiSdkEncoder())
        reader = asyncio.create_task(read(fed.feed))
        await asyncio.sleep(1)
        for _ in range(5):
            fed.give("nothing.known")
            await asyncio.sleep(1)
        fed.end()
        assert all(batch.frames for batch in await reader)

    virtual.run(main())


def test_no_pace_is_slower_than_a_sign_of_life() -> None:
    """A piece comes every fifteen seconds at any pace; a server that stops hurries."""

    async def main() -> None:
        fed = Fed()
        fed.give("output", name="answer", phase="answer", value=ANSWER)
        fed.end()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        whole = await read(fed.feed, 1e-300)
        pieces = sum(1 for batch in whole for frame in batch.frames if frame.chars)
        assert loop.time() - began_s == pieces * PING_S
        began_s = loop.time()
        reader = asyncio.create_task(read(fed.feed, 1e-300))
        await asyncio.sleep(1)
        fed.feed.hurry()
        hurried = [frame for batch in await reader for frame in batch.frames]
        assert hurried == [frame for batch in whole for frame in batch.frames]
        assert loop.time() - began_s == 1

    virtual.run(main())
