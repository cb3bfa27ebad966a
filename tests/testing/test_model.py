"""The scripted model does as told and remembers what it was asked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable
from hasten.model.base import Request, Response
from hasten.testing.model import BrokenAnswer, FakeModel

ASK = Request.ask("Hello", model="m1")


def test_answers_come_in_order_and_the_last_one_stays() -> None:
    """Text, a response as it is, an error, a function of the request, and that again."""

    async def main() -> list[str]:
        response = Response(text="two", model="other")
        model = FakeModel("one", response, ModelUnavailable("gone"), lambda ask: ask.model)
        said = [(await model.complete(ASK)).text, (await model.complete(ASK)).text]
        with pytest.raises(ModelUnavailable):
            await model.complete(ASK)
        said += [(await model.complete(ASK)).text, (await model.complete(ASK)).text]
        assert model.requests == [ASK] * 5
        return said

    assert virtual.run(main()) == ["one", "two", "m1", "m1"]


def test_pieces_take_their_time() -> None:
    """The first after ``first_s``, each further one after ``piece_s``."""

    async def main() -> list[float]:
        model = FakeModel("one two three", first_s=2.0, piece_s=0.5)
        async with aclosing(model.stream(ASK)) as chunks:
            return [current_clock().monotonic() async for _ in chunks]

    assert virtual.run(main()) == [2.0, 2.5, 3.0, 3.0]


def test_a_broken_answer_is_half_said() -> None:
    """The text comes, the end does not."""

    async def main() -> list[str]:
        heard: list[str] = []

        async def listen() -> None:
            model = FakeModel(BrokenAnswer("one two", ModelUnavailable("gone")))
            async with aclosing(model.stream(ASK)) as chunks:
                async for chunk in chunks:
                    heard.append(chunk.text)  # noqa: PERF401 - it raises half-way

        with pytest.raises(ModelUnavailable):
            await listen()
        return heard

    assert virtual.run(main()) == ["one", " two"]


def test_it_counts_who_is_there_and_who_left() -> None:
    """Calls under way, the most there were at once, readers who did not stay."""

    async def main() -> None:
        model = FakeModel("one two", first_s=1.0, piece_s=1.0)
        calls = [asyncio.create_task(model.complete(ASK)) for _ in range(3)]
        await current_clock().sleep(0.5)
        assert (model.open_calls, model.most_open) == (3, 3)
        await asyncio.gather(*calls)
        async with aclosing(model.stream(ASK)) as chunks:
            await anext(chunks)
        assert (model.open_calls, model.most_open, model.left) == (0, 3, 1)

    virtual.run(main())
