"""Texts of many callers in one request; each caller's own vectors."""

from __future__ import annotations

import asyncio

import pytest

from hasten import virtual
from hasten.clock import current_clock
from hasten.errors import ModelUnavailable
from hasten.model.base import Usage
from hasten.model.batched_embed import BatchedEmbedding, EmbedBatchPolicy
from hasten.model.embed import Embedding, EmbeddingModel, EmbedRequest
from hasten.model.simulated_embed import SimulatedEmbedding


class Told(EmbeddingModel):
    """Counts what it is asked, and fails when it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[EmbedRequest] = []
        self.open_calls = 0
        self._fails = fails

    @property
    def name(self) -> str:
        """Say who answers."""
        return "told"

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Count, wait a second, and answer with the lengths of the texts."""
        self.asked.append(request)
        self.open_calls += 1
        try:
            await current_clock().sleep(1.0)
        finally:
            self.open_calls -= 1
        if self._fails:
            message = "down"
            raise ModelUnavailable(message)
        vectors = tuple((float(len(str(text))),) for text in request.inputs)
        return Embedding(vectors=vectors, model="told", usage=Usage(10 * len(vectors)))


def _one(*texts: str, **fields: int) -> EmbedRequest:
    return EmbedRequest(inputs=texts, **fields)  # type: ignore[arg-type] # dimensions alone


def test_twenty_callers_are_one_request_and_a_text_of_several_goes_once() -> None:
    """Each gets its vectors in its order, and its part of the usage."""

    async def main() -> None:
        inner = Told()
        model = BatchedEmbedding(inner)
        asks = [_one("a" * number, "shared text") for number in range(1, 21)]
        found = await asyncio.gather(*(model.embed(ask) for ask in asks))
        assert [one.vectors for one in found] == [((float(n),), (11.0,)) for n in range(1, 21)]
        assert len(inner.asked) == model.calls == 1
        assert len(inner.asked[0].inputs) == 21
        assert current_clock().monotonic() == pytest.approx(1.01)
        assert all(one.usage.tokens_in > 0 for one in found)

    virtual.run(main())


def test_a_full_batch_leaves_at_once_and_a_large_request_in_parts() -> None:
    """No request has more texts than the limit."""

    async def main() -> None:
        inner = Told()
        model = BatchedEmbedding(inner, EmbedBatchPolicy(most_texts=3, window_s=9.0))
        found = await model.embed(_one(*(str(number) * number for number in range(1, 8))))
        assert [vector[0] for vector in found.vectors] == [1, 2, 3, 4, 5, 6, 7]
        assert sorted(len(ask.inputs) for ask in inner.asked) == [1, 3, 3]
        assert current_clock().monotonic() == pytest.approx(1.0)

    virtual.run(main())


def test_what_is_asked_differently_goes_apart() -> None:
    """Another length of vectors is another request."""

    async def main() -> None:
        model = BatchedEmbedding(SimulatedEmbedding())
        short, long = await asyncio.gather(
            model.embed(_one("tea", dimensions=8)), model.embed(_one("tea", dimensions=16))
        )
        assert (len(short.vectors[0]), len(long.vectors[0])) == (8, 16)
        assert model.calls == 2
        assert (
            short.vectors == (await SimulatedEmbedding().embed(_one("tea", dimensions=8))).vectors
        )

    virtual.run(main())


def test_a_failure_is_everybodys_and_a_batch_nobody_waits_for_is_stopped() -> None:
    """One who leaves takes nobody along; the last one ends the call."""

    async def main() -> None:
        down = BatchedEmbedding(Told(fails=True))
        failed = await asyncio.gather(
            *(down.embed(_one(text)) for text in "ab"), return_exceptions=True
        )
        assert [type(one) for one in failed] == [ModelUnavailable] * 2
        inner = Told()
        model = BatchedEmbedding(inner)
        tasks = [asyncio.create_task(model.embed(_one(text))) for text in "ab"]
        await current_clock().sleep(0.5)
        tasks[0].cancel()
        await current_clock().sleep(0.1)
        assert inner.open_calls == 1
        assert (await tasks[1]).vectors == ((1.0,),)
        lost = asyncio.create_task(model.embed(_one("c")))
        await current_clock().sleep(0.5)
        lost.cancel()
        await current_clock().sleep(0.1)
        assert inner.open_calls == 0
        early = asyncio.create_task(model.embed(_one("d")))
        await current_clock().sleep(0)
        early.cancel()
        await current_clock().sleep(1.0)
        assert len(inner.asked) == 2

    virtual.run(main())


def test_a_batch_of_nothing_is_refused() -> None:
    """When the policy is made."""
    with pytest.raises(ValueError, match="at least 1"):
        EmbedBatchPolicy(most_texts=0)
