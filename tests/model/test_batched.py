"""Requests in groups: together in time, apart in everything else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.model.base import Request
from hasten.model.batched import BatchedModel, BatchPolicy
from hasten.testing.model import FakeModel

if TYPE_CHECKING:
    from hasten.testing.model import Script


def _echo(request: Request) -> str:
    return request.messages[0].content


def test_five_leave_at_once_and_the_rest_when_their_window_ends() -> None:
    """Seven requests: five at 0, two at 20 ms; each gets its own answer."""

    async def main() -> None:
        begun: list[float] = []

        def answer(request: Request) -> str:
            begun.append(current_clock().monotonic())
            return _echo(request)

        script: Script = answer
        wire = FakeModel(script, first_s=1.0)
        model = BatchedModel(wire)
        asks = [Request.ask(f"number {number}") for number in range(7)]
        answers = await asyncio.gather(*(model.complete(ask) for ask in asks))
        assert [one.text for one in answers] == [f"number {number}" for number in range(7)]
        assert begun == [0.0] * 5 + [pytest.approx(0.02)] * 2
        assert model.groups == 2
        assert [len(ask.messages) for ask in wire.requests] == [1] * 7

    virtual.run(main())


def test_one_alone_waits_no_longer_than_the_window() -> None:
    """And who leaves while waiting takes nobody along."""

    async def main() -> None:
        wire = FakeModel(_echo)
        model = BatchedModel(wire, BatchPolicy(size=3, window_s=0.5))
        leaver = asyncio.create_task(model.complete(Request.ask("leaves")))
        stayer = asyncio.create_task(model.complete(Request.ask("stays")))
        await current_clock().sleep(0.1)
        leaver.cancel()
        assert (await stayer).text == "stays"
        assert current_clock().monotonic() == pytest.approx(0.5)
        assert len(wire.requests) == 1
        alone = asyncio.create_task(model.complete(Request.ask("alone")))
        await current_clock().sleep(0.1)
        alone.cancel()
        await current_clock().sleep(1.0)
        assert model.groups == 1
        assert (await model.complete(Request.ask("again"))).text == "again"

    virtual.run(main())


def test_a_group_of_nobody_is_refused() -> None:
    """When the policy is made."""
    with pytest.raises(ValueError, match="at least 1"):
        BatchPolicy(size=0)
