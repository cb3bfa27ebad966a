"""Keys at the gateway: tenants apart, models, rate, budget, scope; several upstreams."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from hasten.caller import Caller
from hasten.errors import SettingsError
from hasten.serve.gateway.upstreams import upstreams_of
from hasten.settings import Settings, UpstreamSettings
from hasten.store.keys import KeyLimits
from tests.serve.gateway.conftest import CHAT, MESSAGES, ask
from tests.serve.gateway.upstream import Provider, providing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.gateway.conftest import Door

    Through = Callable[..., Any]


async def key_of(door: Door, tenant: str, user: str, **limits: Any) -> dict[str, str]:
    """Make a key and return the header that shows it."""
    caller = Caller(tenant, user)
    _, secret = await door.runtime.keys.create(caller, limits=KeyLimits(**limits))
    return {"authorization": f"Bearer {secret}"}


def test_tenants_never_share(through: Through) -> None:
    """The same request of two tenants asks twice, in flight and afterwards, and shows nothing."""

    async def test(door: Door) -> None:
        ann, bob = await key_of(door, "a", "ann"), await key_of(door, "b", "bob")
        same = await key_of(door, "a", "amy")
        first, other = await asyncio.gather(
            door.post(CHAT, ask(), **ann), door.post(CHAT, ask(), **bob)
        )
        assert len(door.provider.seen) == 2
        assert all("fwd=miss; stored" in one.said for one in (first, other))
        assert "hit" in (await door.post(CHAT, ask(), **same)).said
        private = {"hasten_cache_scope": "user"}
        assert "fwd=miss" in (await door.post(CHAT, ask(), **ann, **private)).said
        assert "fwd=miss" in (await door.post(CHAT, ask(), **same, **private)).said
        assert "hit" in (await door.post(CHAT, ask(), **ann, **private)).said
        for headers in ({}, {"authorization": "Bearer hst_guess"}, {"x_api_key": "hst_guess"}):
            refused = await door.post(CHAT, ask(), **headers)
            assert refused.status == 401
            assert refused.json["error"]["code"] == "unauthenticated"
            assert refused.headers["x-should-retry"] == "false"
        told = (await door.post(MESSAGES, ask())).json
        assert (told["type"], told["error"]["type"]) == ("error", "authentication_error")
        secret = ann["authorization"].partition(" ")[2]
        assert (await door.post(CHAT, ask(), x_api_key=secret)).status == 200

    through(test, provider=Provider(wait_s=0.1))


def test_a_key_is_held_to_its_models_and_scope(through: Through) -> None:
    """Another model is a 403 that names what is allowed; a user's scope is not shared."""

    async def test(door: Door) -> None:
        few = await key_of(door, "a", "ann", models=("gpt-4o*",), cache_scope="user")
        assert (await door.post(CHAT, ask(), **few)).status == 200
        refused = await door.post(CHAT, {**ask(), "model": "o3"}, **few)
        assert refused.status == 403
        assert "gpt-4o*" in refused.json["error"]["message"]
        listed = (await door.get("/v1/models", **few)).json["data"]
        assert [one["id"] for one in listed] == ["gpt-4o"]
        other = await key_of(door, "a", "amy", cache_scope="user")
        assert "fwd=miss" in (await door.post(CHAT, ask(), **other)).said

    through(test)


def test_a_thousand_calls_against_a_rate(through: Through) -> None:
    """As many as the minute takes, and not one more; the rest are told when to come back."""

    async def test(door: Door) -> None:
        rated = await key_of(door, "a", "ann", rate_per_min=100)
        given = await asyncio.gather(*(door.post(CHAT, ask(), **rated) for _ in range(1_000)))
        counts = Counter(one.status for one in given)
        assert counts[200] <= 100 + 5  # what a slow machine's seconds let through meanwhile
        assert counts[200] >= 100
        assert counts[200] + counts[429] == 1_000
        refused = next(one for one in given if one.status == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-ratelimit-limit-requests"] == "100"
        assert refused.headers["x-should-retry"] == "true"

    through(test)


def test_a_budget_ends(through: Through) -> None:
    """What calls cost adds up; once it is spent the key is refused, and told not to retry."""

    async def test(door: Door) -> None:
        poor = await key_of(door, "a", "ann", budget_usd=0.00006)
        assert (await door.post(CHAT, ask("1"), **poor)).status == 200
        assert (await door.post(CHAT, ask("2"), **poor)).status == 200
        await door.gateway.calls.write()
        refused = await door.post(CHAT, ask("3"), **poor)
        assert (refused.status, refused.headers["x-should-retry"]) == (429, "false")
        assert refused.json["error"]["code"] == "insufficient_quota"
        (key,) = await door.runtime.keys.all()
        assert key.spent_usd == pytest.approx(2 * (7 * 2.5 + 4 * 10) / 1e6)

    through(test)


def test_several_upstreams(through: Through) -> None:
    """By weight; one that fails rests while another answers; no other protocol in between."""

    async def test(door: Door) -> None:
        async with providing(Provider()) as one, providing(Provider()) as three:
            settings = Settings(
                home=door.runtime.settings.home,
                upstreams=(
                    UpstreamSettings(name="one", base_url=one.url),
                    UpstreamSettings(name="three", base_url=three.url, weight=3),
                    UpstreamSettings(name="named", base_url="http://127.0.0.1:1", models=("x-*",)),
                ),
            )
            upstreams = upstreams_of(settings)
            door.gateway.relay._upstreams = door.gateway.upstreams = upstreams
            for number in range(40):
                await door.post(CHAT, ask(str(number)), hasten_cache_mode="off")
            assert (len(one.seen), len(three.seen)) == (10, 30)
            three.refusals = [(503, {}, b"{}")] * 50
            for number in range(10):
                answered = await door.post(CHAT, ask(str(number)), hasten_cache_mode="off")
                assert answered.status == 200
            assert len(three.seen) <= 31
            gone = await door.post(CHAT, {**ask(), "model": "x-1"}, hasten_cache_mode="off")
            assert (gone.status, gone.json["error"]["code"]) == (502, "model_unavailable")
            await upstreams.close()

    through(test)


def test_settings_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name twice, no address, a variable without a key; defaults come from the providers' own."""
    one = UpstreamSettings(name="a", base_url="http://a/v1")
    for wrong, word in (
        ((one, one), "two upstreams"),
        ((UpstreamSettings(name="b"),), "needs a base_url"),
        ((UpstreamSettings(name="c", base_url="http://c", api_key_env="NO_KEY"),), "NO_KEY"),
    ):
        with pytest.raises(SettingsError, match=word):
            upstreams_of(Settings(upstreams=wrong))
    assert [one.name for one in upstreams_of(Settings()).all] == ["sim"]
    monkeypatch.setenv("OPENAI_API_KEY", "a")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "b")
    monkeypatch.setenv("GEMINI_API_KEY", "c")
    found = upstreams_of(Settings())
    assert [one.name for one in found.all] == ["openai", "anthropic", "gemini"]
