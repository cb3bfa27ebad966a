"""What the wrappers of a chain say they did is what happened."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelRejected, ModelUnavailable, RateLimited
from hasten.model.base import Chunk, Request
from hasten.model.batched import BatchPolicy
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.fallback import Spare
from hasten.model.figures import ChainFigures, chain_figures, limit_of
from hasten.model.hedged import HedgePolicy
from hasten.model.limit import LimitPolicy
from hasten.model.limited import LimitNow
from hasten.model.pooled import PoolMember
from hasten.model.retrying import RetryPolicy
from hasten.model.structured import parse
from hasten.testing.model import FakeModel
from tests.model.test_structured import ASK_JSON, BAD, GOOD, Idea

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Model

ASK = Request.ask("Hello")
GONE = ModelUnavailable("gone")


def after(wire: FakeModel, policy: ChainPolicy, *asks: Request) -> ChainFigures:
    """Return the figures once a chain was asked, one request after the other."""

    async def main() -> ChainFigures:
        model = build_chain(wire, policy)
        for ask in asks:
            await asyncio.gather(model.complete(ask), return_exceptions=True)
        return chain_figures([model])

    return virtual.run(main())


def test_retries_and_what_their_budget_refuses() -> None:
    """Of five failures three may be tried again, by the floor; then none is left."""
    policy = ChainPolicy(retry=RetryPolicy(attempts=2))
    found = after(FakeModel(GONE), policy, *[ASK] * 5)
    assert found.retries == {("fake", "made"): 3, ("fake", "refused"): 2}
    assert found.retries_left == {("fake",): 0}
    idle = after(FakeModel("ok"), policy, ASK)
    assert idle.retries_left == {("fake",): 3}
    final = after(FakeModel(ModelRejected("no", status=400)), policy, ASK)
    assert sum(final.retries.values()) == 0, "what may not be tried again asks for no budget"


@pytest.mark.parametrize(("first_s", "result"), [((9.0, 1.0), "won"), ((3.0, 9.0), "lost")])
def test_hedges_and_who_was_stopped(first_s: tuple[float, float], result: str) -> None:
    """The second call is heard or not; either way one is cancelled."""

    class Uneven(FakeModel):
        """Begins each call after another time."""

        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            """Wait, then answer."""
            place = len(self.requests)
            self.requests.append(request)
            await current_clock().sleep(first_s[place])
            async for chunk in super().stream(request):
                yield chunk

    policy = ChainPolicy(hedge=HedgePolicy(after_s=2.0, share=1.0))
    found = after(Uneven("hi"), policy, ASK)
    other = "lost" if result == "won" else "won"
    assert found.hedges == {("fake", result): 1, ("fake", other): 0}
    assert found.stopped == {("fake",): 1}


@pytest.mark.parametrize("is_parsed", [True, False])
def test_repairs_are_counted_wherever_they_are_asked_for(*, is_parsed: bool) -> None:
    """By a step's ``parse`` or inside the chain: one call more, and its tokens."""

    async def main() -> ChainFigures:
        wire = FakeModel(BAD, GOOD)
        model = build_chain(wire, ChainPolicy(repair_tokens=None if is_parsed else 4_000))
        if is_parsed:
            assert (await parse(model, ASK, Idea)).repairs == 1
        else:
            await model.complete(ASK_JSON)
        return chain_figures([model])

    found = virtual.run(main())
    assert found.repairs == {("fake",): 1}
    assert found.repair_tokens[("fake", "in")] > found.repair_tokens[("fake", "out")] > 0


def test_waits_and_how_the_limit_stands() -> None:
    """Five at once through two turns: three wait; the limit says so while they do."""

    async def main() -> tuple[LimitNow | None, ChainFigures]:
        model = build_chain(FakeModel("ok", first_s=1.0), ChainPolicy(concurrency=2))
        calls = [asyncio.create_task(model.complete(ASK)) for _ in range(5)]
        await current_clock().sleep(0.5)
        then = limit_of(model)
        await asyncio.gather(*calls)
        return then, chain_figures([model])

    then, found = virtual.run(main())
    assert then == LimitNow(math.inf, 2, 2, 3)
    assert found.waits == {("fake",): 3}
    assert found.wait_s == {("fake",): pytest.approx(1.0 + 1.0 + 2.0)}
    assert found.limits == {("fake",): LimitNow(math.inf, 2, 0, 0)}


def test_the_limit_has_a_rate_once_the_endpoint_has_complained() -> None:
    """Before that it has none."""
    policy = ChainPolicy(limit=LimitPolicy(), retry=None)
    (before,) = after(FakeModel("ok"), policy, ASK).limits.values()
    (found,) = after(FakeModel(RateLimited("wait")), policy, ASK).limits.values()
    assert (before.rate_per_s, before.concurrency) == (math.inf, 256)
    assert (found.rate_per_s, found.concurrency < 256) == (10.0, True)


def test_groups_fallbacks_and_parts_that_are_shared() -> None:
    """A wire that stands in two chains counts once; other keys and models are looked into."""

    async def main() -> ChainFigures:
        wire, spare = FakeModel(GONE), FakeModel("ok", name="spare")
        policy = ChainPolicy(batch=BatchPolicy(size=2), retry=RetryPolicy(attempts=1))
        model = build_chain(wire, policy, keys=[PoolMember(FakeModel(GONE))], spares=[Spare(spare)])
        await asyncio.gather(model.complete(ASK), model.complete(ASK))
        return chain_figures([model, model])

    found = virtual.run(main())
    assert found.fallbacks == {("fake", "spare"): 2}
    assert found.groups == {("fake",): 1, ("spare",): 1}
    assert found.grouped == {("fake",): 2, ("spare",): 2}
    assert set(found.repairs) == {("fake",), ("spare",)}


def test_a_model_without_wrappers_has_nothing_to_tell() -> None:
    """No chain, no figures, no limit."""
    bare: Model = FakeModel()
    assert virtual.run(_figures(bare)) == ChainFigures()


async def _figures(model: Model) -> ChainFigures:
    assert limit_of(model) is None
    return chain_figures([model])
