"""So many calls at once, first come first served, and nobody keeps a slot they left."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable, RateLimited
from hasten.model.base import Model, Request, Response
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.limit import Limit, LimitPolicy
from hasten.model.limited import LimitedModel
from hasten.testing.model import FakeModel
from tests.model.recording import recorded

ASK = Request.ask("Hello")


async def _read(model: Model, request: Request = ASK) -> None:
    async with aclosing(model.stream(request)) as chunks:
        async for _ in chunks:
            pass


@pytest.mark.parametrize("is_stream", [True, False])
def test_never_more_calls_at_once_than_the_limit(*, is_stream: bool) -> None:
    """Twelve calls through four slots take three rounds."""

    async def main() -> tuple[FakeModel, float]:
        wire = FakeModel("hi", first_s=1.0)
        model = LimitedModel(wire, 4)
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(_read(model) if is_stream else model.complete(ASK))  # type: ignore[arg-type]
        return wire, current_clock().monotonic()

    wire, took_s = virtual.run(main())
    assert wire.most_open == 4
    assert took_s == pytest.approx(3.0)


def test_first_come_first_served() -> None:
    """Calls are let in in the order in which they asked."""

    async def main() -> list[str]:
        wire = FakeModel("hi", first_s=1.0)
        model = LimitedModel(wire, 1)
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(model.complete(Request.ask(str(number))))
                await current_clock().sleep(0.01)
        return [request.messages[0].content for request in wire.requests]

    for seed in range(5):
        assert virtual.run(main(), seed=seed) == list("012345")


def test_a_caller_out_of_time_leaves_the_queue() -> None:
    """The deadline ends the wait, and the slot goes to the next."""

    async def main() -> int:
        wire = FakeModel("hi", first_s=10.0)
        model = LimitedModel(wire, 1)
        holder = asyncio.create_task(model.complete(ASK))
        await current_clock().sleep(1.0)
        with pytest.raises(TimeoutError):
            async with current_clock().timeout(2.0):
                await model.complete(ASK)
        assert current_clock().monotonic() == pytest.approx(3.0)
        await holder
        await model.complete(ASK)
        return len(wire.requests)

    assert virtual.run(main()) == 2


def test_a_slot_is_free_again_after_a_failure_and_an_early_exit() -> None:
    """Neither an error nor a reader who leaves keeps a slot."""

    async def main() -> None:
        wire = FakeModel(ModelUnavailable("gone"), "one two three", "ok")
        model = LimitedModel(wire, 1)
        with pytest.raises(ModelUnavailable):
            await model.complete(ASK)
        async with aclosing(model.stream(ASK)) as chunks:
            await anext(chunks)
        async with current_clock().timeout(1.0):
            assert (await model.complete(ASK)).text == "ok"

    virtual.run(main())


def test_only_a_wait_leaves_a_queue_span() -> None:
    """Two calls through one slot: one wait of the first call's length, below the run."""

    async def main() -> list[tuple[str, float]]:
        with recorded() as recorder:
            model = LimitedModel(FakeModel("hi", first_s=1.5), 1)
            await asyncio.gather(model.complete(ASK), model.complete(ASK))
        return [(span.kind, span.duration_s) for span in recorder.spans[1:]]

    ((kind, waited_s),) = virtual.run(main())
    assert kind == "queue"
    assert waited_s == pytest.approx(1.5)


def test_one_model_serves_many_event_loops() -> None:
    """A second loop has slots of its own, even after the first was left in the middle."""
    model = LimitedModel(FakeModel("hi", first_s=1.0), 1)

    async def abandoned() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(model.complete(ASK))
            group.create_task(model.complete(ASK))
            await current_clock().sleep(0.5)
            raise ZeroDivisionError

    async def served() -> tuple[list[str], float]:
        began_s = current_clock().monotonic()
        found = await asyncio.gather(model.complete(ASK), model.complete(ASK))
        return [answer.text for answer in found], current_clock().monotonic() - began_s

    with pytest.raises(ExceptionGroup):
        virtual.run(abandoned())
    assert virtual.run(served()) == (["hi", "hi"], pytest.approx(2.0))


def test_a_limit_below_one_is_refused() -> None:
    """Nothing could ever pass."""
    with pytest.raises(ValueError, match="at least 1"):
        LimitedModel(FakeModel(), 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_calls_are_never_over_the_limit(seed: int) -> None:
    """Streams and plain calls, some of which fail or leave: 7 at once, and all get their turn."""

    async def main() -> int:
        wire = FakeModel(
            lambda ask: ModelUnavailable("gone") if ask.seed == 3 else "one two",
            first_s=1.0,
            piece_s=0.5,
        )
        model = LimitedModel(wire, 7, LimitPolicy(rate_per_s=100.0, burst=1_000))

        async def call(number: int) -> None:
            ask = msgspec.structs.replace(ASK, seed=number % 10)
            if number % 2:
                await model.complete(ask)
                return
            async with aclosing(model.stream(ask)) as chunks:
                async for _ in chunks:
                    if number % 5 == 0:
                        return

        tasks = [asyncio.create_task(call(number)) for number in range(1_000)]
        await current_clock().sleep(5.0)
        for task in tasks[900:]:
            task.cancel()
        await asyncio.wait(tasks)
        assert wire.open_calls == 0
        return wire.most_open

    assert virtual.run(main(), seed=seed) == 7


def test_calls_beyond_the_rate_wait_instead_of_failing() -> None:
    """Forty at once at ten a second with bursts of twenty: the last begins after two seconds."""

    async def main() -> float:
        wire = FakeModel("ok")
        model = LimitedModel(wire, None, LimitPolicy(rate_per_s=10.0, judged_calls=1_000))
        await asyncio.gather(*(model.complete(ASK) for _ in range(40)))
        return current_clock().monotonic()

    assert virtual.run(main()) == pytest.approx(2.0)


def test_an_endpoint_without_a_limit_is_not_held_back() -> None:
    """A cold burst of 200 calls takes as long as one of them."""

    async def main() -> tuple[float, int]:
        wire = FakeModel("one two", first_s=3.0, piece_s=1.0)
        model = build_chain(wire, ChainPolicy(limit=LimitPolicy()))
        await asyncio.gather(*(model.complete(ASK) for _ in range(200)))
        return current_clock().monotonic(), wire.most_open

    assert virtual.run(main()) == (4.0, 200)


class Guarded(FakeModel):
    """Refuses what is over its rate, which has bursts of a second's worth, or over ``at_once``."""

    def __init__(self, *, rate_per_s: float = 1e9, at_once: int = 1_000_000) -> None:
        super().__init__("ok", first_s=3.0)
        self._policy = LimitPolicy(
            rate_per_s=rate_per_s,
            burst=int(rate_per_s),
            concurrency=at_once,
            most_concurrency=at_once,
        )
        self._limit = Limit(self._policy)
        self.refused = 0

    async def complete(self, request: Request) -> Response:
        """Answer, or refuse after a network's time."""
        if self._limit.wait_s(current_clock().monotonic()) > 0:
            self.refused += 1
            await current_clock().sleep(0.2)
            message = "too many"
            raise RateLimited(message, model=self.name)
        began_s = current_clock().monotonic()
        self._limit.begin(began_s)
        try:
            return await super().complete(request)
        finally:
            self._limit.end("void", began_s=began_s, now_s=current_clock().monotonic())


@pytest.mark.parametrize(
    ("endpoint", "calls", "within_s", "refused"),
    [
        ({"rate_per_s": 5.0}, 24, 8.0, 20),
        ({"rate_per_s": 2.0}, 24, 15.0, 23),
        ({"rate_per_s": 5.0}, 200, 55.0, 210),
        ({"rate_per_s": 50.0}, 200, 8.0, 160),
        ({"at_once": 10}, 150, 50.0, 150),
        ({"at_once": 100}, 150, 7.0, 70),
    ],
)
def test_an_endpoint_with_a_limit_of_its_own_is_learnt(
    endpoint: dict[str, Any], calls: int, within_s: float, refused: int
) -> None:
    """All at once, three seconds each: none fails, in little more time than the limit needs."""

    async def main() -> tuple[float, int]:
        wire = Guarded(**endpoint)
        model = build_chain(wire, ChainPolicy(limit=LimitPolicy()))
        asks = (Request.ask(f"Say {number}") for number in range(calls))
        await asyncio.gather(*(model.complete(ask) for ask in asks))
        return current_clock().monotonic(), wire.refused

    took_s, found = virtual.run(main())
    assert took_s < within_s
    assert found < refused


def test_a_call_waits_for_what_is_learnt_only_until_its_deadline() -> None:
    """The endpoint takes nothing for a minute and says so; who has five seconds leaves."""

    async def main() -> float:
        wire = FakeModel(RateLimited("wait", retry_after_s=60.0), "ok")
        model = LimitedModel(wire, None, LimitPolicy())
        with pytest.raises(TimeoutError):
            async with current_clock().timeout(5.0):
                await model.complete(ASK)
        assert (await model.complete(ASK)).text == "ok"
        return current_clock().monotonic()

    assert virtual.run(main()) == pytest.approx(60.0)


def test_a_second_refusal_is_passed_on() -> None:
    """Finding out is done once; to try again after that is the retries' business."""

    async def main() -> int:
        wire = FakeModel(RateLimited("wait"))
        model = LimitedModel(wire, None, LimitPolicy())
        with pytest.raises(RateLimited):
            await _read(model)
        with pytest.raises(RateLimited):
            await model.complete(ASK)
        return len(wire.requests)

    assert virtual.run(main()) == 3
