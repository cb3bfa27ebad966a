"""Embeddings of many callers in one request of the upstream, where the settings want that."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import TYPE_CHECKING, Any

import pytest

from hasten.serve.gateway.upstreams import Upstream, Upstreams
from hasten.settings import UpstreamSettings
from tests.serve.gateway.test_keys import key_of
from tests.serve.gateway.test_upstreams import to
from tests.serve.gateway.upstream import Provider, providing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.gateway.conftest import Door

EMBEDDINGS = "/v1/embeddings"


def wanted(text: str | list[str], **fields: Any) -> dict[str, Any]:
    """Return a request for vectors; the provider's tell how long each text is."""
    return {"model": "text-embedding-3-small", "input": text, **fields}


def together(door: Door, window_s: float = 0.2) -> None:
    """Have the gateway put together what is asked within ``window_s``."""
    (upstream,) = door.gateway.upstreams.all
    upstream.settings = upstream.settings.model_copy(update={"embed_window_s": window_s})


def test_five_callers_are_one_request(through: Callable[..., Any]) -> None:
    """Each gets its own vectors and its part of the cost, is counted, and is stored by itself."""

    async def test(door: Door) -> None:
        together(door)
        ann, bob = await key_of(door, "a", "ann"), await key_of(door, "b", "bob")
        texts = ["tea", "mint tea", "ginger", ["a", "tea"], "tea"]
        keys = [ann, ann, ann, ann, bob]
        told = await asyncio.gather(
            *(
                door.post(EMBEDDINGS, wanted(text), **key)
                for text, key in zip(texts, keys, strict=True)
            )
        )
        (sent,) = door.provider.seen
        assert sorted(sent.body["input"]) == ["a", "ginger", "mint tea", "tea"]
        for text, answer in zip(texts, told, strict=True):
            whole = [text] if isinstance(text, str) else text
            vectors = [one["embedding"] for one in answer.json["data"]]
            assert vectors == [[0.5, len(one) / 4] for one in whole]
            assert answer.json["usage"]["prompt_tokens"] > 0
            assert "stored" in answer.said
        assert door.gateway.upstreams.all[0].calls == {"200": 1}
        assert all(one.tokens_in > 0 for one in door.gateway.calls.latest)
        assert len(door.gateway.calls.latest) == 5
        assert 0 < sum(door.gateway.calls.cost_usd.values()) < 1e-5
        again = await door.post(EMBEDDINGS, wanted("mint tea"), **ann)
        assert "hit" in again.said
        assert again.json == told[1].json
        assert len(door.provider.seen) == 1

    through(test)


def test_each_form_asked_for_comes_back(through: Callable[..., Any]) -> None:
    """Numbers for one caller, base64 for another; other models and headers go by themselves."""

    async def test(door: Door) -> None:
        together(door)
        plain, packed, other, apart = await asyncio.gather(
            door.post(EMBEDDINGS, wanted("tea")),
            door.post(EMBEDDINGS, wanted("mint", encoding_format="base64")),
            door.post(EMBEDDINGS, wanted("tea", model="other")),
            door.post(EMBEDDINGS, wanted("tea"), openai_organization="org"),
        )
        assert plain.json["data"][0]["embedding"] == [0.5, 0.75]
        raw = base64.b64decode(packed.json["data"][0]["embedding"])
        assert struct.unpack("<2f", raw) == (0.5, 1.0)
        assert (other.status, apart.status) == (200, 200)
        assert len(door.provider.seen) == 3
        assert [one.headers.get("openai-organization") for one in door.provider.seen].count("org")

    through(test)


def test_without_a_window_each_goes_through_untouched(through: Callable[..., Any]) -> None:
    """The default: as many requests as callers, each as it was sent."""

    async def test(door: Door) -> None:
        asks = [wanted("tea"), wanted("mint", odd=1)]
        await asyncio.gather(*(door.post(EMBEDDINGS, ask) for ask in asks))
        assert sorted((one.body for one in door.provider.seen), key=str) == sorted(asks, key=str)
        assert [one.tokens_in for one in door.gateway.calls.latest] == [2, 2]

    through(test)


def test_a_request_that_fails_fails_for_each_and_rests_the_upstream(
    through: Callable[..., Any],
) -> None:
    """All are told why in OpenAI's form; a wrong body is nobody else's business."""

    async def test(door: Door) -> None:
        together(door)
        door.provider.refusals.append((429, {"retry-after": "9"}, b'{"error": {"message": "no"}}'))
        *refused, wrong = await asyncio.gather(
            *(door.post(EMBEDDINGS, wanted(f"tea {n}")) for n in range(3)),
            door.post(EMBEDDINGS, wanted([""])),
        )
        assert {one.status for one in refused} == {429}
        assert {one.headers["retry-after"] for one in refused} == {"9"}
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "input")
        (upstream,) = door.gateway.upstreams.all
        assert upstream.calls == {"429": 1}
        assert len(door.provider.seen) == 1
        assert (await door.post(EMBEDDINGS, wanted("tea"))).status == 200

    through(test)


def test_another_upstream_answers_for_one_that_fails(through: Callable[..., Any]) -> None:
    """The texts of all go to it, together again."""

    async def test(door: Door) -> None:
        async with providing(Provider()) as spare:
            to(door, base_url=spare.url, embed_window_s=0.05)
            (good,) = door.gateway.upstreams.all
            bad = UpstreamSettings(
                name="bad", base_url="http://127.0.0.1:1/v1", embed_window_s=0.05, weight=1_000
            )
            found = Upstreams([Upstream(bad), good])
            door.gateway.relay._upstreams = door.gateway.upstreams = found
            told = await asyncio.gather(
                *(door.post(EMBEDDINGS, wanted(f"tea {n}")) for n in range(4))
            )
            assert {one.status for one in told} == {200}
            assert sum(len(one.body["input"]) for one in spare.seen) == 4
            assert len(spare.seen) <= 2
            await found.close()

    through(test)


@pytest.mark.parametrize("window_s", [-0.1, 1.5])
def test_a_window_out_of_bounds_is_refused(window_s: float) -> None:
    """Nobody waits longer than a second for others."""
    with pytest.raises(ValueError, match="embed_window_s"):
        UpstreamSettings(name="one", embed_window_s=window_s)
