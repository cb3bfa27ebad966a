"""The latest calls over HTTP: whose they are, which are shown, what they came to; no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from hasten.caller import Caller
from hasten.serve.gateway.calls import REMEMBERED
from hasten.serve.gateway.routes import OTHER, ROUTES
from hasten.serve.gateway.shown import RouteName
from hasten.settings import UpstreamSettings
from tests.serve.gateway.conftest import CHAT, MESSAGES, Door, ask
from tests.serve.gateway.test_keys import key_of

if TYPE_CHECKING:
    from collections.abc import Callable


async def admin_of(door: Door, tenant: str, user: str) -> dict[str, str]:
    """Make an admin's key and return the header that shows it."""
    _, secret = await door.runtime.keys.create(Caller(tenant, user, "admin"))
    return {"authorization": f"Bearer {secret}"}


async def calls(door: Door, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """Return the calls the route shows."""
    told = await door.get(f"/api/gateway/calls{query}", **headers)
    assert told.status == 200, told.body
    found: list[dict[str, Any]] = told.json["calls"]
    return found


def test_the_newest_comes_first_with_what_it_took_and_saved(through: Callable[..., Any]) -> None:
    """A miss with its cost and its run, a hit with what it saved."""

    async def test(door: Door) -> None:
        await door.post(CHAT, ask())
        await door.post(CHAT, ask(stream=True))
        hit, miss = await calls(door)
        assert (miss["result"], miss["route"], miss["model"]) == ("miss", "chat", "gpt-4o")
        assert (miss["tokens_in"], miss["tokens_out"]) == (7, 4)
        assert miss["cost_usd"] > 0
        assert miss["run_id"].startswith("run_")
        assert (hit["result"], hit["is_stream"], hit["cost_usd"]) == ("hit", True, 0)
        assert hit["saved_usd"] == miss["cost_usd"]
        assert 0 < hit["saved_s"] < miss["took_s"]
        told = (await door.get("/api/gateway")).json
        assert told["results"]["hit"]["calls"] == told["results"]["miss"]["calls"] == 1
        assert sum(told["results"]["hit"]["buckets"]) == 1
        assert len(told["results"]["hit"]["buckets"]) == len(told["buckets_s"]) + 1
        assert told["saved_s"] == hit["saved_s"]
        assert (told["saved_usd"], told["cost_usd"]) == (hit["saved_usd"], miss["cost_usd"])

    through(test)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 5),
        ("?result=hit", 1),
        ("?result=refused", 1),
        ("?route=messages", 1),
        ("?route=other", 1),
        ("?model=gpt-4o-*", 1),
        ("?model=gpt-4o*&result=miss", 2),
        ("?limit=2", 2),
        ("?result=stale", 0),
    ],
)
def test_filters(through: Callable[..., Any], query: str, count: int) -> None:
    """By result, route, model and number, alone and together."""

    async def test(door: Door) -> None:
        await door.post(CHAT, ask())
        await door.post(CHAT, ask())
        await door.post(CHAT, ask(model="gpt-4o-mini"))
        await door.post(MESSAGES, b"{", anthropic_version="2023-06-01")
        await door.get("/v1/models")
        assert len(await calls(door, query)) == count

    through(test)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("result=good", "result"),
        ("route=%2Fv1", "route"),
        ("limit=0", "limit"),
        (f"limit={REMEMBERED + 1}", "limit"),
        ("limit=many", "limit"),
        (f"model={'m' * 201}", "model"),
        ("tenant=other", "tenant"),
    ],
)
def test_a_wrong_filter_is_named(through: Callable[..., Any], query: str, field: str) -> None:
    """422 with the field; there is no filter by tenant."""

    async def test(door: Door) -> None:
        told = await door.get(f"/api/gateway/calls?{query}")
        assert told.status == 422
        assert told.json["errors"][0]["field"] == field

    through(test)


def test_nobody_sees_the_calls_of_others(through: Callable[..., Any]) -> None:
    """A person their own, an admin the tenant's and those of nobody known; the sums are admins'."""

    async def test(door: Door) -> None:
        ann = await key_of(door, "a", "ann")
        bob = await key_of(door, "a", "bob")
        root, eve = await admin_of(door, "a", "root"), await admin_of(door, "b", "eve")
        for key in (ann, bob, eve):
            await door.post(CHAT, ask(), **key)
        assert (await door.post(CHAT, ask(), authorization="Bearer hst_wrong")).status == 401

        async def seen(**key: str) -> list[str]:
            return [one["user"] for one in await calls(door, **key)]

        assert await seen(**ann) == ["ann"]
        assert await seen(**bob) == ["bob"]
        assert await seen(**root) == ["", "bob", "ann"]
        assert await seen(**eve) == ["", "eve"]
        assert (await door.get("/api/gateway/calls")).status == 401
        assert (await door.get("/api/gateway", **ann)).status == 403
        assert (await door.get("/api/gateway", **root)).status == 200

    through(test)


def test_the_ring_forgets_the_oldest(through: Callable[..., Any]) -> None:
    """A thousand are remembered."""

    async def test(door: Door) -> None:
        await door.post(CHAT, ask("first"))
        (first,) = door.gateway.calls.latest
        for _ in range(REMEMBERED + 5):
            door.gateway.calls.add(first)
        found = await calls(door, f"?limit={REMEMBERED}")
        assert len(found) == REMEMBERED

    through(test)


def test_upstreams_say_how_they_are_but_not_their_key(
    through: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which variable the key is from, how long one rests, what it answered; never the key."""
    monkeypatch.setenv("UP_KEY", "sk-very-secret")

    async def test(door: Door) -> None:
        door.provider.refusals.append((429, {"retry-after": "40"}, b"{}"))
        assert (await door.post(CHAT, ask())).status == 429
        answer = await door.get("/api/gateway")
        assert b"sk-very-secret" not in answer.body
        (up,) = answer.json["upstreams"]
        assert (up["name"], up["protocol"], up["key"]) == ("up", "openai", "UP_KEY")
        assert up["calls"] == {"429": 1}
        assert 35 < up["rests_s"] <= 40
        await door.post(CHAT, ask())
        (up,) = (await door.get("/api/gateway")).json["upstreams"]
        assert (up["rests_s"], up["calls"]) == (0, {"429": 1, "200": 1})

    one = UpstreamSettings(name="up", api_key_env="UP_KEY", base_url="http://127.0.0.1:1/v1")

    async def moved(door: Door) -> None:
        (upstream,) = door.gateway.upstreams.all
        upstream.settings = one.model_copy(update={"base_url": door.provider.url})
        await test(door)

    through(moved, upstreams=(one,))


def test_the_routes_are_those_of_the_gateway() -> None:
    """What can be filtered by is what there is."""
    assert set(get_args(RouteName)) == {route.name for route in ROUTES.values()} | {OTHER}
