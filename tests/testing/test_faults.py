"""Faults happen when they should, as often as they should, and count it."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import aclosing

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable
from hasten.model.base import Request
from hasten.testing.faults import (
    Fault,
    FaultyModel,
    cancelling,
    failing,
    faulty,
    hanging,
    nonsense,
    slow,
)
from hasten.testing.model import FakeModel


async def double(number: int) -> int:
    """The function that is struck."""
    return 2 * number


def _results(fault: Fault, calls: int = 4) -> list[object]:
    """Call ``double`` a few times under ``fault``; an error is its type."""

    async def main() -> list[object]:
        struck = faulty(double, fault)
        found: list[object] = []
        for number in range(calls):
            try:
                found.append(await struck(number))
            except ValueError:
                found.append(ValueError)
        return found

    return virtual.run(main())


def test_a_failure_happens_a_number_of_times_after_a_number_of_calls() -> None:
    """Skip one, fail twice, then work again; the count says two."""
    fault = failing(ValueError, times=2, skip=1)
    assert _results(fault) == [0, ValueError, ValueError, 6]
    assert (fault.calls, fault.happened) == (4, 2)


def test_nonsense_replaces_the_answer() -> None:
    """Even ``None`` is an answer one may get."""
    fault = nonsense(None, times=1)
    assert _results(fault) == [None, 2, 4, 6]
    assert fault.happened == 1


def test_slowness_is_on_the_clock_in_force() -> None:
    """Every call later by as much, in no real time."""

    async def main() -> float:
        struck = faulty(double, slow(30.0))
        assert await struck(3) == 6
        return current_clock().monotonic()

    assert virtual.run(main()) == 30.0


def test_a_hang_outlasts_any_deadline() -> None:
    """Only the caller's timeout ends it."""

    async def main() -> None:
        fault = hanging()
        with pytest.raises(TimeoutError):
            async with current_clock().timeout(86_400.0):
                await faulty(double, fault)(1)
        assert fault.happened == 1

    virtual.run(main())


def test_a_cancellation_is_a_real_one() -> None:
    """The task ends as cancelled, as if somebody outside had done it."""

    async def main() -> None:
        fault = cancelling()
        task = asyncio.ensure_future(faulty(double, fault)(1))
        await asyncio.wait([task])
        assert task.cancelled()
        assert fault.happened == 1

    virtual.run(main())


def test_a_struck_function_keeps_its_signature() -> None:
    """What finds a step's inputs by its parameters still does."""
    assert list(inspect.signature(faulty(double, hanging())).parameters) == ["number"]


def test_a_model_is_struck_before_or_between_its_pieces() -> None:
    """After two pieces the stream breaks; the second call goes through."""

    async def main() -> list[str]:
        fault = failing(lambda: ModelUnavailable("on purpose"), times=1)
        inner = FakeModel("one two three")
        model = FaultyModel(inner, fault, after_pieces=2)
        heard: list[str] = []

        async def listen() -> None:
            async with aclosing(model.stream(Request.ask("Count"))) as chunks:
                async for chunk in chunks:
                    heard.append(chunk.text)  # noqa: PERF401 - it raises half-way

        with pytest.raises(ModelUnavailable):
            await listen()
        assert fault.happened == 1
        assert (await model.complete(Request.ask("Count"))).text == "one two three"
        await model.close()
        assert inner.is_closed
        return heard

    assert virtual.run(main()) == ["one", " two"]


def test_a_models_nonsense_is_its_text() -> None:
    """The whole answer is what was given."""
    model = FaultyModel(FakeModel("fine"), nonsense("{]"))
    assert virtual.run(model.complete(Request.ask("Hello"))).text == "{]"
    assert model.name == "fake"
