"""Listing entries and explaining calls."""

from __future__ import annotations

import pytest

from hasten.cache.browse import find_entries
from hasten.cache.cache import Cache
from hasten.cache.decide import Fresh, Miss
from hasten.cache.explain import Difference
from hasten.cache.policy import CachePolicy, Directives
from hasten.cache.tiers import Tier
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.store.memory import MemoryStore
from tests.cache.counting import POLICY, Counted, in_virtual_time, key_of, two_processes
from tests.cache.flaky import FlakyStore


@in_virtual_time
async def test_entries_are_listed_once_with_their_tiers_and_uses() -> None:
    """What memory holds and what the tiers keep, without the values."""
    near, home = MemoryStore(name="near"), MemoryStore(name="home")
    cache = Cache([Tier(store=near, residence_s=60), Tier(store=home)])
    for name in ("a", "b", "c"):
        await cache.get_or_compute(key_of(name), Counted(0.0), POLICY)
    await current_clock().sleep(1)
    await cache.get_or_compute(key_of("a"), Counted(0.0), POLICY)
    cache.memory.drop(key_of("b").digest)
    await near.delete_many([key_of("b").digest])
    found = {one.entry.label: one for one in await find_entries(cache, "acme")}
    assert found["tool name=a"].tiers == ("memory", "near", "home")
    assert found["tool name=b"].tiers == ("home",)
    assert (found["tool name=a"].hits, found["tool name=b"].hits) == (1, 0)
    assert found["tool name=a"].last_hit_s == current_clock().now()
    assert all(one.entry.body == b"" for one in found.values())
    assert await find_entries(cache, "evil") == []
    assert await find_entries(cache, "acme", use="other") == []
    assert len(await find_entries(cache, "acme", pattern="*=?")) == 3
    assert len(await find_entries(cache, "acme", limit=2)) == 2


@in_virtual_time
async def test_a_tier_that_fails_is_left_out() -> None:
    """The others are listed; unreadable bytes are passed over."""
    store = FlakyStore(MemoryStore(name="far"))
    cache = Cache([Tier(store=store)])
    await cache.get_or_compute(key_of(), Counted(0.0), POLICY)
    await current_clock().sleep(0.001)
    await store.inner.set_many([])
    store.is_down = True
    assert [one.tiers for one in await find_entries(cache, "acme")] == [("memory",)]
    assert cache.tiers[0].errors > 0


@in_virtual_time
async def test_an_explanation_names_the_deciding_reason() -> None:
    """For a hit its tier and age, for a miss why, and it changes nothing."""
    one, other = two_processes(MemoryStore(name="home"))
    await one.get_or_compute(key_of(), Counted(0.0), POLICY)
    await current_clock().sleep(10)
    assert (await one.explain(key_of(), POLICY)).reason == "hit in memory: 10 s old"
    for _ in range(2):
        assert (await other.explain(key_of(), POLICY)).reason == "hit in home: 10 s old"
    said = await one.explain(key_of(), POLICY, directives=Directives(max_age_s=5))
    assert said.reason == "miss: max-age: it is 10 s old, the request takes 5 s"
    await one.invalidate("use=tool", tenants=["acme"])
    assert (await other.explain(key_of(), POLICY)).reason == "miss: invalidated"
    await current_clock().sleep(100)
    await one.get_or_compute(key_of("b"), Counted(0.0), POLICY)
    await current_clock().sleep(101)
    assert (await other.explain(key_of("b"), POLICY)).reason == "miss: expired 1 s ago"
    assert other.stats.rows() == []


@in_virtual_time
async def test_a_near_miss_names_the_part_that_differs() -> None:
    """Another person's keys are compared for an admin only."""
    cache = Cache()
    personal = CachePolicy(use="rerun", scope="user")
    ann, ben = Caller("acme", "ann"), Caller("acme", "ben")
    await cache.get_or_compute(personal.key({"area": "AI", "n": 1}, ann), Counted(0.0), personal)
    wanted = personal.key({"area": "AI", "n": 1}, ben)
    set_caller(ben)
    assert (await cache.explain(wanted, personal)).near == ()
    set_caller(Caller("acme", "root", "admin"))
    said = await cache.explain(wanted, personal)
    assert said.decision == Miss("nothing is stored under this key")
    assert said.near[0].differences == (Difference("user", "ben", "ann"),)
    set_caller(ann)
    said = await cache.explain(personal.key({"area": "AI", "n": 2}, ann), personal)
    assert said.near[0].differences == (Difference("n", "2", "1"),)


@in_virtual_time
async def test_what_memory_may_not_hold_any_more_is_explained_from_the_next_tier() -> None:
    """An explanation follows the way of the call."""
    cache = Cache([Tier(store=MemoryStore(name="home"))], memory_residence_s=5)
    long = CachePolicy(use="tool", ttl_s=1000, jitter=0)
    await cache.get_or_compute(key_of(policy=long), Counted(0.0), long)
    await current_clock().sleep(6)
    said = await cache.explain(key_of(policy=long), long)
    assert (said.tier, said.decision) == ("home", Fresh(pytest.approx(6.0), pytest.approx(994.0)))
