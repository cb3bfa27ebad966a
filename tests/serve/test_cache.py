"""The cache over HTTP: what is shown to whom, what may be dropped by whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hasten.cache.policy import CachePolicy
from hasten.caller import Caller, set_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serve.conftest import Client

TEA = {"app": "toy", "inputs": {"topic": "tea"}}
FACTS = CachePolicy(use="facts", fields=("area",), tags=("market:{area}",))
NOTES = CachePolicy(use="notes", fields=("area",), scope="user")
NEWS = CachePolicy(use="news", fields=("area",), tags=("market:{area}",), scope="public")

ADMIN = Caller("acme", "root", "admin")
ANN, BOB = Caller("acme", "ann"), Caller("acme", "bob")
SPY = Caller("evil", "ann", "admin")


async def store(client: Client, caller: Caller, policy: CachePolicy, area: str) -> str:
    """Have the server's cache compute a value for ``caller``; return the entry's key."""

    async def compute() -> str:
        return f"{policy.use} of {area} for {caller.user}"

    async def work() -> str:
        set_caller(caller)
        cache = client.runtime.cache
        key = cache.key(policy, area=area)
        await cache.get_or_compute(key, compute, policy)
        digest: str = key.digest.hex()
        return digest

    return await asyncio.create_task(work())


async def headers_of(client: Client, caller: Caller) -> dict[str, Any]:
    """Make a key for ``caller``; return what carries it."""
    _, secret = await client.runtime.keys.create(caller, "test")
    return {"headers": {"Authorization": f"Bearer {secret}"}}


async def uses_seen(client: Client, options: dict[str, Any], query: str = "") -> list[str]:
    """Return use and owner of each entry listed for a caller, sorted."""
    found = (await client.call("GET", f"/api/cache/entries{query}", **options)).json
    assert found["total"] == len(found["entries"])
    return sorted(f"{one['use']} {one['user']}".strip() for one in found["entries"])


def test_each_sees_what_is_theirs(on_server: Callable[..., Any]) -> None:
    """A person their own, an admin their tenant's and the public, nobody another tenant's."""

    async def test(client: Client) -> None:
        for caller in (ANN, BOB):
            await store(client, caller, NOTES, "AI")
        await store(client, ANN, FACTS, "AI")
        await store(client, ANN, NEWS, "AI")
        key = await store(client, ANN, NOTES, "health")
        admin, ann, bob, spy = [await headers_of(client, one) for one in (ADMIN, ANN, BOB, SPY)]
        everything = ["facts", "news", "notes ann", "notes ann", "notes bob"]
        assert await uses_seen(client, admin) == everything
        assert await uses_seen(client, ann) == ["notes ann", "notes ann"]
        assert await uses_seen(client, spy) == ["news"]
        assert await uses_seen(client, admin, "?use=notes&field=area=AI") == [
            "notes ann",
            "notes bob",
        ]
        assert await uses_seen(client, admin, "?tag=market:AI") == ["facts", "news"]
        assert await uses_seen(client, admin, "?tag=market:AI&field=area=health") == []
        assert (await client.call("GET", "/api/cache/entries?field=area", **admin)).status == 422
        path = f"/api/cache/entries/{key}"
        answers = [(await client.call("GET", path, **who)).status for who in (admin, ann, bob, spy)]
        assert answers == [200, 200, 404, 404]
        shown = (await client.call("GET", path, **ann)).json
        assert shown["value"] == "notes of health for ann"
        assert (shown["hits"], shown["is_fresh"]) == (0, True)
        assert {"memory", "disk"} <= set(shown["tiers"])

    on_server(test)


def test_entries_come_in_pages(on_server: Callable[..., Any]) -> None:
    """Newest first, from an offset, at most a limit, with the number of all."""

    async def test(client: Client) -> None:
        for area in "abc":
            await store(client, Caller("local", "local"), FACTS, area)
        found = (await client.call("GET", "/api/cache/entries?offset=1&limit=1")).json
        assert found["total"] == 3
        assert [one["label"] for one in found["entries"]] == ["facts area=b"]

    on_server(test)


def test_only_an_admin_drops_what_is_shared(on_server: Callable[..., Any]) -> None:
    """A person drops their own by key or all at once; anything else is refused."""

    async def test(client: Client) -> None:
        mine = await store(client, ANN, NOTES, "AI")
        theirs = await store(client, BOB, NOTES, "AI")
        await store(client, ANN, FACTS, "AI")
        admin, ann, spy = [await headers_of(client, one) for one in (ADMIN, ANN, SPY)]

        async def drop(who: dict[str, Any], **what: Any) -> Any:
            return await client.call("POST", "/api/cache/invalidate", what, **who)

        assert (await drop(ann, key=theirs)).status == 404
        assert (await drop(spy, key=theirs)).status == 404
        for what in ({"tag": "market:AI"}, {"user": "bob"}, {"pattern": "*"}, {"session": "s"}):
            assert (await drop(ann, **what)).status == 403
        assert (await drop(ann)).status == 422
        assert (await drop(ann, key=mine, tag="x")).status == 422
        await drop(spy, pattern="*")
        assert await uses_seen(client, admin) == ["facts", "notes ann", "notes bob"]
        would = (await drop(ann, key=mine, dry_run=True)).json
        assert would["tree"] == ["notes area=AI  [memory, disk]"]
        assert await uses_seen(client, ann) == ["notes ann"]
        assert (await drop(ann, key=mine)).json["tree"] == would["tree"]
        assert await uses_seen(client, ann) == []
        assert (await drop(admin, user="bob")).status == 200
        assert await uses_seen(client, admin) == ["facts"]

    on_server(test)


def test_a_source_that_changed_drops_what_was_made_from_it(on_server: Callable[..., Any]) -> None:
    """By tag and by field, within the tenant, and the audit trail says who and why."""

    async def test(client: Client) -> None:
        for area in ("AI", "health", "law"):
            await store(client, ANN, FACTS, area)
        await store(client, SPY, FACTS, "AI")
        admin, ann, spy = [await headers_of(client, one) for one in (ADMIN, ANN, SPY)]
        said = {"source": "prices", "tags": ["market:AI"], "fields": {"area": "law"}}
        path = "/api/events/data-changed"
        assert (await client.call("POST", path, said)).status == 401
        assert (await client.call("POST", path, said, **ann)).status == 403
        assert (await client.call("POST", path, {"source": "prices"}, **admin)).status == 422
        assert (await client.call("POST", path, said, **admin)).status == 200
        left = (await client.call("GET", "/api/cache/entries", **admin)).json["entries"]
        assert [one["label"] for one in left] == ["facts area=health"]
        assert await uses_seen(client, spy) == ["facts"]
        trail = (await client.call("GET", "/api/cache/audit", **admin)).json["audit"]
        assert [(one["selector"], one["by"], one["why"]) for one in trail] == [
            ("field=area=law", "root", "data changed: prices"),
            ("tag=market:AI", "root", "data changed: prices"),
        ]
        assert (await client.call("GET", "/api/cache/audit", **spy)).json["audit"] == []

    on_server(test)


def test_clean_takes_what_is_old_of_the_tenant(on_server: Callable[..., Any]) -> None:
    """By age, and never of another tenant."""

    async def test(client: Client) -> None:
        await store(client, ANN, NOTES, "AI")
        await store(client, SPY, NOTES, "AI")
        admin, spy = [await headers_of(client, one) for one in (ADMIN, SPY)]

        async def clean(days: float) -> Any:
            body = {"older_than_days": days}
            return (await client.call("POST", "/api/cache/clean", body, **admin)).json

        assert await clean(1) == {"deleted": 0}
        assert await clean(0) == {"deleted": 1}
        assert await uses_seen(client, admin) == []
        assert await uses_seen(client, spy) == ["notes ann"]

    on_server(test)


def test_a_rerun_is_explained(on_server: Callable[..., Any]) -> None:
    """A miss before, naming what differs from what is there; a hit after; wrong asks are told."""

    async def test(client: Client) -> None:
        async def explain(**asked: Any) -> Any:
            return await client.call("POST", "/api/cache/explain", {**TEA, **asked})

        assert (await explain()).json["reason"].startswith("miss")
        await client.call("POST", "/api/run", TEA)
        assert (await explain()).json["reason"].startswith("hit in memory")
        near = (await explain(inputs={"topic": "coffee"})).json["near"]
        assert [one["part"] for one in near[0]["differences"]] == ["inputs"]
        assert (await explain(app="none")).status == 404
        assert (await explain(step="facts")).status == 422

    on_server(test)


def test_erasing_a_person_leaves_nothing(on_server: Callable[..., Any]) -> None:
    """Their runs, one under way too, and their entries go; those of others stay."""

    async def test(client: Client) -> None:
        admin, ann, bob, spy = [await headers_of(client, one) for one in (ADMIN, ANN, BOB, SPY)]
        for who in (ann, bob, spy):
            assert (await client.call("POST", "/api/run", TEA, **who)).status == 200
        hanging = {"app": "toy", "inputs": {"topic": "tea", "trouble": "hang"}}
        async with client.session.post("/api/run/stream", json=hanging, **ann) as response:
            assert (await client.call("DELETE", "/api/people/ann", **ann)).status == 403
            erased = await client.call("DELETE", "/api/people/ann", **admin)
            assert '"status":"cancelled"' in (await response.text()).replace(" ", "")
        assert erased.status == 200
        assert erased.json["runs"] == 2
        assert erased.json["entries"] >= 2
        lists = [(await client.call("GET", "/api/runs", **who)).json for who in (ann, bob, spy)]
        assert [len(found["runs"]) for found in lists] == [0, 1, 1]
        assert await uses_seen(client, admin) == ["rerun bob"]
        assert await uses_seen(client, spy) == ["rerun ann"]

    on_server(test)


@pytest.mark.parametrize("path", ["/api/cache/stats", "/health"])
def test_figures_per_use(on_server: Callable[..., Any], path: str) -> None:
    """Hits and misses of each use, what was saved, and whether each tier answers."""

    async def test(client: Client) -> None:
        for _ in range(2):
            await store(client, ANN, FACTS, "AI")
        found = (await client.call("GET", path)).json
        found = found.get("cache", found)
        (use,) = found["uses"]
        assert (use["use"], use["hits"], use["misses"]) == ("facts", 1, 1)
        assert {one["tier"]: one["is_available"] for one in found["tiers"]} == {
            "memory": True,
            "disk": True,
            "sqlite": True,
        }

    on_server(test)


def test_a_tier_that_is_gone_shows(on_server: Callable[..., Any]) -> None:
    """Health is degraded and names the tier; requests go on."""

    async def test(client: Client) -> None:
        await store(client, ANN, FACTS, "AI")
        found = (await client.call("GET", "/health")).json
        tiers = {one["tier"]: one["is_available"] for one in found["cache"]["tiers"]}
        assert found["status"] == "degraded"
        assert tiers == {"memory": True, "redis": False, "disk": True, "sqlite": True}

    on_server(test, redis_url="redis://127.0.0.1:1/0")


def test_the_log_says_at_the_end_what_was_reused(
    on_server: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One line when the server stops, with every use."""

    async def test(client: Client) -> None:
        for _ in range(3):
            await store(client, ANN, FACTS, "AI")

    with caplog.at_level("INFO", "hasten.wire_stores"):
        on_server(test)
    final, facts = [one for one in caplog.messages if one.startswith("[CACHE_STATS] ")]
    assert "'cache_hits': 2, 'cache_misses': 1, 'hit_rate_percent': 66.67" in final
    used = "facts: 2 hits, 0 stale, 0 collapsed, 1 misses, 0 errors, saved "
    assert facts.startswith(f"[CACHE_STATS] {used}")
