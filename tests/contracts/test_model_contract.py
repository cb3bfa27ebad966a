"""Every model keeps the contract: from a script, simulated, over HTTP, inside its chain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.errors import ModelUnavailable
from hasten.model.anthropic import AnthropicModel
from hasten.model.batched import BatchPolicy
from hasten.model.cached import ResponsePolicy
from hasten.model.cascade import CascadePolicy
from hasten.model.chain import ChainPolicy, build_chain
from hasten.model.gemini import GeminiModel
from hasten.model.hedged import HedgePolicy
from hasten.model.limit import LimitPolicy
from hasten.model.openai import OpenAIModel, ResponsesModel
from hasten.model.pooled import PoolMember
from hasten.model.prompt import CompactPolicy
from hasten.model.simulated import SimProfile, SimulatedModel
from hasten.model.tasked import TaskPolicy
from hasten.serve.sim import create_sim_app
from hasten.testing.faults import FaultyModel, slow
from hasten.testing.http import serving
from hasten.testing.model import FakeModel
from hasten.testing.model_contract import (
    ANSWERING_CLAUSES,
    ASK,
    CLAUSES,
    a_whole_answer_says_stop,
    foreign_errors_stay_inside,
    the_pieces_are_the_answer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from hasten.model.base import Chunk, Model, Request, Response
    from hasten.model.http import WireModel
    from hasten.testing.model_contract import Clause

FAST = SimProfile(ttft_s=0.02, prefill_tokens_per_s=1e6, decode_tokens_per_s=1e5)

every_clause = pytest.mark.parametrize(
    "clause", CLAUSES + ANSWERING_CLAUSES, ids=lambda clause: clause.__name__
)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_fake(clause: Clause) -> None:
    """The scripted model, in virtual time."""
    virtual.run(clause(FakeModel("one two three", first_s=1.0, piece_s=0.1)))


@every_clause
@pytest.mark.parametrize("seed", range(3))
def test_simulated(clause: Clause, seed: int) -> None:
    """The simulated model, in virtual time with tasks interleaved differently."""
    virtual.run(clause(SimulatedModel()), seed=seed)


@every_clause
def test_chain(clause: Clause) -> None:
    """Retried, limited, traced and slow: wrappers take nothing away."""
    wire = FaultyModel(SimulatedModel(), slow(0.5))
    virtual.run(clause(build_chain(wire, ChainPolicy(concurrency=2))))


EACH: dict[str, ChainPolicy] = {
    "cached": ChainPolicy(cache=ResponsePolicy()),
    "structured": ChainPolicy(repair_tokens=4_000),
    "cascade": ChainPolicy(cascade=CascadePolicy(small="sim-small")),
    "compacted": ChainPolicy(compact=CompactPolicy(context_tokens=200)),
    "fallback": ChainPolicy(fallbacks=("sim-other",)),
    "hedged": ChainPolicy(hedge=HedgePolicy(after_s=0.1, share=1.0)),
    "batched": ChainPolicy(batch=BatchPolicy(size=3)),
    "limited": ChainPolicy(limit=LimitPolicy(concurrency=2)),
    "tasked": ChainPolicy(tasks={"": TaskPolicy(model="sim-small")}),
}
"""One policy for each wrapper; the last test has them all."""


@every_clause
@pytest.mark.parametrize("name", [*EACH, "all"])
def test_every_wrapper(clause: Clause, name: str) -> None:
    """Each by itself around the simulated model, and all of them together."""
    policy = EACH.get(name) or ChainPolicy(
        cache=ResponsePolicy(),
        repair_tokens=4_000,
        cascade=CascadePolicy(small="sim-small"),
        compact=CompactPolicy(),
        fallbacks=("sim-other",),
        hedge=HedgePolicy(after_s=0.1, share=1.0),
        batch=BatchPolicy(),
        limit=LimitPolicy(),
        concurrency=8,
        tasks={"": TaskPolicy(temperature=0.2)},
    )

    async def main() -> None:
        async with Cache() as cache:
            keys = [PoolMember(SimulatedModel())] if name == "all" else []
            await clause(build_chain(SimulatedModel(), policy, cache=cache, keys=keys))

    virtual.run(main())


WIRES: dict[str, tuple[type[WireModel], str]] = {
    "openai": (OpenAIModel, "/v1"),
    "responses": (ResponsesModel, "/v1"),
    "anthropic": (AnthropicModel, ""),
    "gemini": (GeminiModel, "/v1beta"),
}


@every_clause
@pytest.mark.parametrize("protocol", WIRES)
def test_wire(clause: Clause, protocol: str) -> None:
    """Each wire against the simulated endpoint, over real sockets."""

    async def main() -> None:
        kind, path = WIRES[protocol]
        async with serving(create_sim_app(FAST)) as url:
            model = kind(base_url=f"{url}{path}", model="sim-standard")
            try:
                await clause(model)
            finally:
                await model.close()

    asyncio.run(main())


class _Endless(FakeModel):
    """Breaks its word: no last chunk."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().stream(request):
            if chunk.response is None:
                yield chunk


class _Leaky(FakeModel):
    """Breaks its word: a foreign error comes out."""

    async def complete(self, request: Request) -> Response:
        if request.schema:
            raise KeyError(request.schema)
        return await super().complete(request)


class _Stuttering(FakeModel):
    """Breaks its word: says each piece twice."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().stream(request):
            yield chunk
            if chunk.text:
                yield chunk


@pytest.mark.parametrize(
    ("model", "clause"),
    [
        (_Endless("one two"), the_pieces_are_the_answer),
        (_Leaky("one two"), foreign_errors_stay_inside),
        (_Stuttering("one two"), the_pieces_are_the_answer),
        (FakeModel(ModelUnavailable("gone")), a_whole_answer_says_stop),
    ],
)
def test_the_contract_catches_who_breaks_it(model: Model, clause: Clause) -> None:
    """A clause that nobody could break would say nothing."""
    with pytest.raises((AssertionError, KeyError, ModelUnavailable)):
        virtual.run(clause(model))


@pytest.mark.parametrize("protocol", WIRES)
def test_the_wire_knows_a_simulated_answer(protocol: str) -> None:
    """Over HTTP too an answer says that it is simulated, and it is the same by every protocol."""

    async def main() -> None:
        kind, path = WIRES[protocol]
        async with serving(create_sim_app(FAST)) as url:
            model = kind(base_url=f"{url}{path}", model="gpt-4o")
            ask = msgspec.structs.replace(ASK, model="gpt-4o", max_tokens=5_000)
            response = await model.complete(ask)
            expected = await SimulatedModel(FAST).complete(ask)
            assert response.simulated
            assert response.id.endswith(expected.id)
            assert msgspec.structs.replace(response, id=expected.id) == expected
            await model.close()

    asyncio.run(main())
