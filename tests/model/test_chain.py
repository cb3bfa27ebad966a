"""The chain: every wrapper where its reason wants it."""

from __future__ import annotations

import asyncio

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import RateLimited
from hasten.model.base import Request, Response, Usage
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.price import Price
from hasten.model.retrying import RetryPolicy
from hasten.testing.model import FakeModel
from tests.model.recording import recorded

ASK = Request.ask("Hello")


def test_every_attempt_is_a_model_span_and_waiting_is_not_model_time() -> None:
    """A retried call: two model spans of a second, one wait between them."""

    async def main() -> list[tuple[str, str, float]]:
        with recorded() as recorder:
            wire = FakeModel(RateLimited("busy", retry_after_s=5.0), "hello", first_s=1.0)
            await build_chain(wire).complete(ASK)
        return [(span.kind, span.status, round(span.duration_s)) for span in recorder.spans[1:]]

    assert virtual.run(main()) == [("model", "failed", 1), ("queue", "ok", 5), ("model", "ok", 1)]


def test_a_call_that_waits_for_its_retry_holds_no_slot() -> None:
    """With one slot, a second call passes while the first waits."""

    async def main() -> float:
        wire = FakeModel(RateLimited("busy", retry_after_s=20.0), "hello", first_s=1.0)
        model = build_chain(wire, ChainPolicy(concurrency=1))
        first = asyncio.create_task(model.complete(ASK))
        await current_clock().sleep(1.5)
        await model.complete(ASK)
        second_s = current_clock().monotonic()
        await first
        return second_s

    assert virtual.run(main()) == 2.5


def test_the_policy_chooses_prices_and_may_leave_wrappers_out() -> None:
    """Without retry the first error is the last; the prices are the policy's."""

    async def main() -> tuple[float, int]:
        answer = Response(text="x", model="mine-large", usage=Usage(1_000_000, 0))
        policy = ChainPolicy(retry=None, prices={"mine": Price(3.0, 1.0, 9.0)})
        with recorded() as recorder:
            wire = FakeModel(answer, RateLimited("busy"))
            model = build_chain(wire, policy)
            await model.complete(ASK)
            try:
                await model.complete(ASK)
            except RateLimited:
                return recorder.run.cost_usd, len(wire.requests)
        raise AssertionError

    assert virtual.run(main()) == (3.0, 2)


def test_closing_the_chain_closes_the_wire() -> None:
    """Through every wrapper."""
    wire = FakeModel()
    virtual.run(build_chain(wire, ChainPolicy(concurrency=2, retry=RetryPolicy())).close())
    assert wire.is_closed
