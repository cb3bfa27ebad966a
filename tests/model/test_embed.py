"""Embeddings: the wire, and the simulated model behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten import virtual
from hasten.errors import InvalidInput, ModelUnavailable, RateLimited
from hasten.model import embed_wire
from hasten.model.base import Usage
from hasten.model.embed import Embedding, EmbedRequest
from hasten.model.openai_embed import OpenAIEmbedding
from hasten.model.simulated import SimProfile
from hasten.model.simulated_embed import SimulatedEmbedding
from hasten.serve.sim import create_sim_app
from hasten.testing.http import serving

if TYPE_CHECKING:
    from hasten.model.embed_wire import Encoding

ASK = EmbedRequest(inputs=("one", "two"), model="m")


def test_the_wire_gives_what_the_model_gives() -> None:
    """Over HTTP the vectors are the model's own, to the precision of their encoding."""
    profile = SimProfile(prefill_tokens_per_s=1e9)

    async def main() -> tuple[Embedding, Embedding]:
        async with serving(create_sim_app(profile)) as url:
            model = OpenAIEmbedding(base_url=f"{url}/v1", model="m", api_key="secret")
            told = await model.embed(ASK)
            await model.close()
            return told, await SimulatedEmbedding(profile).embed(ASK)

    told, own = asyncio.run(main())
    assert (told.model, told.usage, told.simulated) == (own.model, own.usage, True)
    assert told.vectors[0] == pytest.approx(own.vectors[0], abs=1e-6)


def test_reading_takes_the_time_of_its_tokens() -> None:
    """Seconds of the clock in force; the same seed gives the same vectors, another others."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        first = await SimulatedEmbedding(SimProfile(prefill_tokens_per_s=1)).embed(ASK)
        assert loop.time() - start_s == pytest.approx(2.0)
        assert first.vectors == (await SimulatedEmbedding().embed(ASK)).vectors
        assert first.vectors != (await SimulatedEmbedding(SimProfile(seed=1)).embed(ASK)).vectors
        assert first.vectors[0] != first.vectors[1]

    virtual.run(main())


floats = st.floats(-1, 1, width=32)


@given(
    vectors=st.lists(st.lists(floats, min_size=1, max_size=4).map(tuple), min_size=1, max_size=3),
    encoding=st.sampled_from(["float", "base64"]),
)
def test_vectors_survive_both_encodings(
    vectors: list[tuple[float, ...]], encoding: Encoding
) -> None:
    """To the bit: they are 32-bit numbers."""
    said = Embedding(vectors=tuple(vectors), model="m", usage=Usage(3), extra={"x": [1]})
    body = orjson.dumps(embed_wire.answer_out(said, encoding=encoding))
    asked = EmbedRequest(inputs=("x",) * len(vectors))
    assert embed_wire.read_answer(body, asked, model="m") == said


INPUTS: list[tuple[Any, tuple[Any, ...]]] = [
    ("a", ("a",)),
    (["a", "b"], ("a", "b")),
    ([1, 2], ((1, 2),)),
    ([[1], [2, 3]], ((1,), (2, 3))),
]


@pytest.mark.parametrize(("told", "inputs"), INPUTS)
def test_inputs_come_in_four_forms(told: Any, inputs: tuple[Any, ...]) -> None:
    """A text, texts, tokens, lists of tokens; other fields pass through."""
    body = {"model": "m", "input": told, "dimensions": 4, "user": "u", "x_new": [1]}
    asked, encoding = embed_wire.read_request(orjson.dumps(body))
    assert (asked.inputs, encoding) == (inputs, "float")
    again = embed_wire.to_body(asked, model="other")
    assert {**again, "input": told} == {**body, "encoding_format": "base64"}


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"input": "a"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": ""}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": ["a", ""]}, "input"),
        ({"model": "m", "input": [1, "a"]}, "input"),
        ({"model": "m", "input": ["a"] * 2_049}, "input"),
        ({"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
        ({"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_a_wrong_body_names_its_field(told: Any, field: str) -> None:
    """Whatever is wrong."""
    with pytest.raises(InvalidInput) as caught:
        embed_wire.read_request(orjson.dumps(told))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"data": [{"embedding": [1.0], "index": 0}]},
        {"data": [{"embedding": "?", "index": 0}, {"embedding": [1.0], "index": 1}]},
        {"data": [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 0}]},
    ],
)
def test_an_answer_that_is_none_is_unavailable(told: Any) -> None:
    """Too few vectors, the same twice, no base64; and an error object is what it says."""
    with pytest.raises(ModelUnavailable):
        embed_wire.read_answer(orjson.dumps(told), ASK, model="m")
    error = {"error": {"message": "slow down", "type": "rate_limit_exceeded"}}
    with pytest.raises(RateLimited):
        embed_wire.read_answer(orjson.dumps(error), ASK, model="m")
