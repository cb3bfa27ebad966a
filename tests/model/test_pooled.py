"""Several keys: their share of the calls, and rest for those that were refused."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelError, ModelRejected, ModelUnavailable, RateLimited
from hasten.model.base import Model, Request
from hasten.model.pooled import PooledModel, PoolMember
from hasten.testing.model import BrokenAnswer, FakeModel

ASK = Request.ask("Hello")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_each_gets_its_share(weights: list[int]) -> None:
    """Of a hundred rounds every key gets its weight's part, one call more or less."""

    async def main() -> None:
        wires = [FakeModel("ok") for _ in weights]
        pool = [PoolMember(wire, weight) for wire, weight in zip(wires, weights, strict=True)]
        model = PooledModel(pool)
        for _ in range(20 * sum(weights)):
            await model.complete(ASK)
        for wire, weight in zip(wires, weights, strict=True):
            assert abs(len(wire.requests) - 20 * weight) <= 1

    virtual.run(main())


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (RateLimited("busy", retry_after_s=7.0), 7.0),
        (RateLimited("busy"), 5.0),
        (ModelRejected("who?", status=401), 300.0),
        (ModelRejected("you may not", status=403), 300.0),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_refused_key_rests_and_the_call_goes_on(
    error: ModelError, rest_s: float, *, is_stream: bool
) -> None:
    """To the other key at once; the first is asked again after its rest, without catching up."""

    async def main() -> None:
        first, second = FakeModel(error, "first"), FakeModel("second")
        model = PooledModel([PoolMember(first), PoolMember(second)])

        async def ask() -> str:
            if not is_stream:
                return (await model.complete(ASK)).text
            async with aclosing(model.stream(ASK)) as chunks:
                return "".join([chunk.text async for chunk in chunks])

        assert [await ask() for _ in range(10)] == ["second"] * 10
        assert current_clock().monotonic() == 0.0
        await current_clock().sleep(rest_s + 0.1)
        assert [await ask() for _ in range(6)].count("first") in (3, 4)

    virtual.run(main())


def test_when_all_rest_it_says_for_how_long() -> None:
    """Without asking anybody."""

    async def main() -> None:
        wires = [FakeModel(RateLimited("busy", retry_after_s=seconds)) for seconds in (9.0, 4.0)]
        model = PooledModel([PoolMember(wire) for wire in wires])
        for _ in range(2):
            with pytest.raises(RateLimited) as caught:
                await model.complete(ASK)
            assert caught.value.retry_after_s == pytest.approx(4.0)
        assert [len(wire.requests) for wire in wires] == [1, 1]

    virtual.run(main())


def test_what_is_not_the_keys_fault_is_raised_at_once() -> None:
    """A wrong request, an endpoint that is down, a stream that breaks half-way."""

    async def main() -> None:
        for error in (ModelRejected("wrong", status=400), ModelUnavailable("down")):
            other = FakeModel("ok")
            model = PooledModel([PoolMember(FakeModel(error)), PoolMember(other)])
            with pytest.raises(type(error)):
                await model.complete(ASK)
            assert other.requests == []
        broken = FakeModel(BrokenAnswer("half", RateLimited("busy")))
        model = PooledModel([PoolMember(broken), PoolMember(FakeModel("ok"))])
        with pytest.raises(RateLimited):
            await Model.complete(model, ASK)  # reads the stream

    virtual.run(main())


def test_an_empty_pool_and_a_weight_of_nothing_are_refused() -> None:
    """When they are made."""
    with pytest.raises(ValueError, match="at least one"):
        PooledModel([])
    with pytest.raises(ValueError, match="above 0"):
        PoolMember(FakeModel(), 0)
