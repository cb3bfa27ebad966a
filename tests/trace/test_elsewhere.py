"""Runs of other processes: their line is asked for once, however many want it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.errors import NotFound
from hasten.testing.sink_contract import run_record
from hasten.trace.elsewhere import RunsElsewhere
from hasten.trace.log import MemorySink

if TYPE_CHECKING:
    from hasten.trace.event import RunRecord


class SlowSink(MemorySink):
    """A sink that takes a second, and counts."""

    asked = 0

    async def run(self, run_id: str) -> RunRecord:
        """Return a run's own line, by and by."""
        self.asked += 1
        await asyncio.sleep(1)
        return await super().run(run_id)


def test_readers_who_come_together_ask_once() -> None:
    """One that leaves takes nothing from the others; who comes later asks anew."""

    async def main() -> None:
        sink = SlowSink()
        await sink.save(run_record("r1"))
        elsewhere = RunsElsewhere(sink)
        readers = [asyncio.create_task(elsewhere.record("r1")) for _ in range(1_000)]
        await asyncio.sleep(0.5)
        readers[0].cancel()
        found = await asyncio.gather(*readers[1:])
        assert {one.run_id for one in found} == {"r1"}
        assert sink.asked == 1
        await elsewhere.record("r1")
        assert sink.asked == 2

    virtual.run(main())


def test_all_hear_that_there_is_no_such_run() -> None:
    """The error is everybody's."""

    async def main() -> None:
        sink = SlowSink()
        elsewhere = RunsElsewhere(sink)

        async def ask() -> None:
            with pytest.raises(NotFound, match="r2"):
                await elsewhere.record("r2")

        await asyncio.gather(*(ask() for _ in range(10)))
        assert sink.asked == 1

    virtual.run(main())
