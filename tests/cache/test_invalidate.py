"""Invalidation: what is dropped is never served again, in no tier and no process."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from hasten.cache.cache import Cache
from hasten.cache.invalidate import CacheSelector
from hasten.cache.key import make_key
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.cache.trail import CacheTrail
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.errors import InvalidInput, StoreUnavailable
from hasten.store.memory import MemoryStore
from tests.cache.counting import Counted, in_virtual_time, two_processes
from tests.cache.flaky import FlakyStore

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOL = CachePolicy(use="tool", ttl_s=1e6, jitter=0, fields=("area", "n"), tags=("market:{area}",))
REPORT = CachePolicy(use="report", ttl_s=1e6, jitter=0, scope="user")
ANN = Caller("acme", "ann")


async def fill(cache: Cache, areas: Sequence[str] = ("AI", "health")) -> None:
    """Store two tool results of each area."""
    for area in areas:
        for n in range(2):
            await cache.get_or_compute(cache.key(TOOL, area=area, n=n), Counted(0.0), TOOL)
    await current_clock().sleep(0.001)


async def there(cache: Cache) -> set[str]:
    """Return the labels of what is served without computing."""
    found = set()
    for area in ("AI", "health"):
        for n in range(2):
            compute = Counted(0.0)
            key = cache.key(TOOL, area=area, n=n)
            await cache.get_or_compute(key, compute, TOOL)
            if not compute.begun:
                found.add(f"{area}{n}")
    return found


SELECTORS = {
    "tag=market:AI": {"health0", "health1"},
    "field=area=AI": {"health0", "health1"},
    "field=n=1": {"AI0", "health0"},
    "use=tool": set(),
    "pattern=*area=AI*": {"health0", "health1"},
    "pattern=tool area=?I n=0": {"AI1", "health0", "health1"},
    "use=other": {"AI0", "AI1", "health0", "health1"},
    "tag=market:": {"AI0", "AI1", "health0", "health1"},
    "session=s1": {"AI0", "AI1", "health0", "health1"},
}


@pytest.mark.parametrize("what", SELECTORS)
def test_a_selector_drops_what_it_means(what: str) -> None:
    """In every tier, for the process that says it and for one that has it in memory."""

    @in_virtual_time
    async def test() -> None:
        near, home = MemoryStore(name="near"), MemoryStore(name="home")
        tiers = [Tier(store=near, residence_s=3600), Tier(store=home)]
        for observer in range(3):
            one, other, third = Cache(tiers), Cache(tiers), Cache(tiers)
            await fill(one)
            await there(other)
            await one.invalidate(what)
            await current_clock().sleep(1.0)
            assert await there((one, other, third)[observer]) == SELECTORS[what]
            await one.flush()

    test()


@in_virtual_time
async def test_a_key_is_dropped_by_its_digest() -> None:
    """As ``ls`` shows it; the bytes are deleted, too."""
    store = MemoryStore()
    cache, _ = two_processes(store)
    await fill(cache)
    digest = cache.key(TOOL, area="AI", n=0).digest
    done = await cache.invalidate(f"key={digest.hex()}")
    assert [found.entry.label for found in done.dropped] == ["tool area=AI n=0"]
    assert await store.get_many([digest]) == [None]
    assert await there(cache) == {"AI1", "health0", "health1"}


@in_virtual_time
async def test_an_invalidation_reaches_another_process_at_once_or_within_a_second() -> None:
    """At once while it hears the news; within the bound when it does not."""
    store = MemoryStore()
    one, other = two_processes(store)
    async with Cache([Tier(store=store)]) as hearing:
        await current_clock().sleep(0)
        await fill(one)
        for cache in (hearing, other):
            await there(cache)
        await one.invalidate("use=tool")
        key = one.key(TOOL, area="AI", n=0)
        compute = Counted(0.0)
        compute.give = lambda _: "new"
        assert await hearing.get_or_compute(key, compute, TOOL) == "new"
        await current_clock().sleep(1.0)
        assert await other.get_or_compute(key, compute, TOOL) == "new"


@in_virtual_time
async def test_what_was_built_from_a_dropped_part_is_dropped() -> None:
    """A report made of market data goes with the market data, hit or computed, in any process."""
    one, other = two_processes(MemoryStore())

    async def report(cache: Cache, area: str) -> Any:
        compute = Counted(0.0)

        async def build() -> str:
            parts = [cache.key(TOOL, area=area, n=n) for n in range(2)]
            found = [await cache.get_or_compute(part, compute, TOOL) for part in parts]
            return " ".join(found)

        answer = await cache.answer(cache.key(REPORT, area=area), build, REPORT)
        await current_clock().sleep(0.001)
        return answer

    for area in ("AI", "health"):
        await report(one, area)
    dry = await one.invalidate("tag=market:AI", is_dry_run=True)
    assert dry.tree() == [
        "tool area=AI n=0  [memory, memory]",
        "  report area=AI  [memory, memory]",
        "tool area=AI n=1  [memory, memory]",
        "  report area=AI  [memory, memory]",
    ]
    assert (await report(other, "AI")).tier == "memory"
    await one.invalidate("tag=market:AI")
    await current_clock().sleep(1)
    for cache in (one, other):
        assert (await report(cache, "AI")).value.startswith("value 1")
        assert (await report(cache, "health")).tier == "memory"
    assert other.stats.of("report", "").misses == 0


@in_virtual_time
async def test_a_dry_run_changes_nothing() -> None:
    """It lists what would go; everything is still served, and nothing is in the trail."""
    cache, _ = two_processes(MemoryStore())
    await fill(cache)
    for what in ("field=area=AI", "pattern=*AI*"):
        done = await cache.invalidate(what, is_dry_run=True)
        assert sorted(one.entry.label for one in done.dropped) == [
            "tool area=AI n=0",
            "tool area=AI n=1",
        ]
        assert done.epoch == 0
    assert len(await there(cache)) == 4
    assert await cache.audit() == []


@in_virtual_time
async def test_an_invalidation_lists_what_went_if_it_is_asked_to() -> None:
    """The same entries that a dry run would have listed, and none of them is served again."""
    for what in ("field=area=AI", "tag=market:AI", "use=tool"):
        cache, _ = two_processes(MemoryStore())
        await fill(cache)
        drawn = await cache.invalidate(what, is_dry_run=True)
        done = await cache.invalidate(what, is_listed=True)
        assert drawn.dropped
        assert [one.entry.digest for one in done.dropped] == [
            one.entry.digest for one in drawn.dropped
        ]
        assert (await cache.invalidate(what, is_listed=True)).dropped == ()


@in_virtual_time
async def test_the_trail_says_who_dropped_what_and_when() -> None:
    """Newest first."""
    cache, _ = two_processes(MemoryStore())
    set_caller(ANN)
    await fill(cache)
    await cache.invalidate("tag=market:AI")
    await current_clock().sleep(60)
    await cache.invalidate("pattern=*health*")
    last, first = await cache.audit()
    assert (first["selector"], first["by"], first["dropped"]) == ("tag=market:AI", "ann", 0)
    assert (last["selector"], last["tenants"], last["dropped"]) == (
        "pattern=*health*",
        ["acme", ""],
        2,
    )
    assert last["at_s"] - first["at_s"] == pytest.approx(60, abs=0.1)
    assert last["epoch"] > first["epoch"]


@in_virtual_time
async def test_tenants_invalidate_their_own_and_what_is_public() -> None:
    """Never another tenant's."""
    cache = Cache()
    public = CachePolicy(use="public", scope="public", fields=("area",))
    mine = CachePolicy(use="mine", fields=("area",))
    compute = Counted(0.0)
    keys = {}
    for caller in (ANN, Caller("evil", "ann")):
        set_caller(caller)
        keys[caller.tenant] = cache.key(mine, area="AI")
        await cache.get_or_compute(keys[caller.tenant], compute, mine)
    shared = cache.key(public, area="AI")
    await cache.get_or_compute(shared, compute, public)
    await cache.invalidate("field=area=AI")
    assert (await cache.answer(keys["acme"], compute, mine)).tier == "memory"
    assert (await cache.answer(keys["evil"], compute, mine)).tier == ""
    assert (await cache.answer(shared, compute, public)).tier == ""
    await cache.invalidate("field=area=AI", tenants=["acme"])
    assert (await cache.answer(shared, compute, public)).tier == "memory"


@in_virtual_time
async def test_two_updates_in_one_instant_are_two_versions() -> None:
    """A value computed between two invalidations of one microsecond falls to the second."""
    cache = Cache()
    key = cache.key(TOOL, area="AI", n=0)
    epochs = []
    for _ in range(3):
        compute = Counted(0.0)
        assert await cache.get_or_compute(key, compute, TOOL) == "value 1"
        assert compute.begun == 1
        epochs.append((await cache.invalidate("tag=market:AI")).epoch)
    assert len(set(epochs)) == 3


@in_virtual_time
async def test_a_new_version_is_a_new_key() -> None:
    """An entity's ``updated_at`` is one of its fields, to the microsecond and beyond."""
    cache = Cache()
    versioned = CachePolicy(use="persona", fields=("id", "updated_at"), ttl_s=3600)
    values = [
        await cache.get_or_compute(cache.key(versioned, id=1, updated_at=at), Counted(), versioned)
        for at in (1.000001, 1.000002, 1.000001)
    ]
    assert values == ["value 1"] * 3
    assert cache.stats.of("persona", "").misses == 2


@in_virtual_time
async def test_a_person_is_erased_everywhere() -> None:
    """Their entries are deleted in every tier, leave another process's memory, and stay away."""
    near, home, kept = (MemoryStore(name=name) for name in ("near", "home", "kept"))
    tiers = [Tier(store=near, residence_s=3600), Tier(store=home)]
    one, other = Cache(tiers, kept=kept), Cache(tiers, kept=kept)
    profile = CachePolicy(use="profile", scope="user", ttl_s=None)
    rerun = CachePolicy(use="rerun", scope="user", ttl_s=None, is_kept=True)
    keys = {}
    for user, use in itertools.product(("ann", "ben"), (profile, rerun)):
        set_caller(Caller("acme", user))
        keys[user, use.use] = one.key(use, n=1)
        for cache in (one, other):
            await cache.get_or_compute(keys[user, use.use], Counted(0.0), use)
        await fill(one)
    assert await one.erase("acme", "ann") == 6
    await current_clock().sleep(1.2)
    if other.ledger.view.is_due:
        await other.ledger.sync()
    await current_clock().sleep(1.2)
    for use, stores in (("profile", (near, home)), ("rerun", (near, kept))):
        assert keys["ann", use].digest not in other.memory.queue.nodes
        for store in stores:
            assert (await store.get_many([keys["ann", use].digest])) == [None]
            assert (await store.get_many([keys["ben", use].digest])) != [None]
    assert (await one.answer(keys["ben", "rerun"], Counted(), rerun)).tier == "memory"
    assert "ann" not in str(await one.audit())


@in_virtual_time
async def test_what_was_being_computed_for_an_erased_person_is_not_kept() -> None:
    """Neither in the process that erases nor in another."""
    store = MemoryStore()
    one, other = two_processes(store)
    rerun = CachePolicy(use="rerun", scope="user", wait_s=0)
    key = one.key(rerun, n=1)
    calls = [
        asyncio.ensure_future(cache.get_or_compute(key, Counted(5.0), rerun))
        for cache in (one, other)
    ]
    await current_clock().sleep(4.999)
    await one.erase("local", "local")
    await asyncio.gather(*calls)
    await current_clock().sleep(1)
    assert await store.get_many([key.digest]) == [None]


@in_virtual_time
async def test_erasing_says_when_a_tier_could_not_be_asked() -> None:
    """An erasure that is not complete is no erasure; the others were asked all the same."""
    near, home = FlakyStore(MemoryStore(name="near")), MemoryStore(name="home")
    cache = Cache([Tier(store=near, residence_s=60), Tier(store=home)], ledger=home)
    rerun = CachePolicy(use="rerun", scope="user")
    await cache.get_or_compute(cache.key(rerun, n=1), Counted(0.0), rerun)
    await current_clock().sleep(0.001)
    near.is_down = True
    with pytest.raises(StoreUnavailable, match="not erased from near"):
        await cache.erase("local", "local")
    assert (await home.size()).entries == 0
    near.is_down = False
    await current_clock().sleep(3)
    assert await cache.erase("local", "local") == 1


@in_virtual_time
async def test_a_pattern_reaches_what_is_being_computed_elsewhere() -> None:
    """Whatever the order: what another process stores after it is taken back."""
    for moment in (0.5, 0.999, 1.0, 1.001):
        store = MemoryStore()
        one, other = two_processes(store)
        key = one.key(TOOL, area="AI", n=0)
        call = asyncio.ensure_future(other.get_or_compute(key, Counted(1.0), TOOL))
        await current_clock().sleep(moment)
        await one.invalidate("pattern=*area=AI*")
        await call
        await current_clock().sleep(2)
        for cache in (one, other):
            compute = Counted(0.0)
            await cache.get_or_compute(key, compute, TOOL)
            assert compute.begun == (1 if cache is one else 0)


@in_virtual_time
async def test_an_invalidation_that_cannot_be_told_says_so() -> None:
    """Rather than pretend that other processes know."""
    store = FlakyStore(MemoryStore())
    cache = Cache([Tier(store=store)])
    await fill(cache)
    store.is_down = True
    with pytest.raises(StoreUnavailable):
        await cache.invalidate("use=tool")


@in_virtual_time
async def test_a_ledger_that_forgot_brings_nothing_dead_back() -> None:
    """Whether it starts empty or from an older state, what was filled in before is a miss."""
    ledger, home = MemoryStore(name="ledger"), MemoryStore(name="home")
    old = dict(ledger._bumps), ledger.epoch
    cache = Cache([Tier(store=home)], ledger=ledger)
    await fill(cache)
    await cache.invalidate("tag=market:AI")
    assert await there(cache) == {"health0", "health1"}
    await cache.invalidate("tag=market:health")
    ledger._bumps, ledger.epoch = type(ledger._bumps)(old[0]), old[1]
    await current_clock().sleep(1.1)
    assert await there(cache) == set()
    restarted = Cache([Tier(store=home)], ledger=ledger)
    assert len(await there(restarted)) == 4


@in_virtual_time
async def test_a_young_process_knows_what_was_dropped_before_it_began() -> None:
    """It asks the ledger about marks it has not heard of."""
    store = MemoryStore()
    one, _ = two_processes(store)
    await fill(one)
    await store.bump(TOOL.key({"area": "AI", "n": 0}, Caller("local", "local")).marks()[:1])
    young, _ = two_processes(store)
    assert await there(young) == {"AI1", "health0", "health1"}


@in_virtual_time
async def test_memory_frees_what_was_dropped() -> None:
    """A second later its bytes are gone, without anybody asking for it."""
    cache = Cache()
    await fill(cache)
    await cache.invalidate("tag=market:AI")
    assert len(cache.memory.queue.nodes) == 4
    await current_clock().sleep(1.1)
    assert len(cache.memory.queue.nodes) == 2
    assert sum(node.size_bytes for node in cache.memory.entries()) == cache.memory.queue.bytes


@in_virtual_time
async def test_cleaning_deletes_what_is_old_and_flushing_everything() -> None:
    """Kept entries too: that is what the clean-up command is for."""
    kept = MemoryStore(name="kept")
    cache = Cache([Tier(store=MemoryStore(name="home"))], kept=kept)
    rerun = CachePolicy(use="rerun", ttl_s=None, is_kept=True)
    for n in range(2):
        await cache.get_or_compute(cache.key(rerun, n=n), Counted(0.0), rerun)
        await current_clock().sleep(1000)
    assert await cache.clean(older_than_s=1500) == 2
    assert (await cache.answer(cache.key(rerun, n=1), Counted(), rerun)).tier != ""
    await cache.flush()
    assert (await kept.size()).entries == 0
    assert (await cache.answer(cache.key(rerun, n=1), Counted(), rerun)).tier == ""


@pytest.mark.parametrize("text", ["", "tag", "tag=", "field=a", "nothing=x", "market:AI"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    """With what would do."""
    with pytest.raises(InvalidInput, match="not a selector") as caught:
        CacheSelector.parse(text)
    assert "pattern" in caught.value.allowed


@pytest.mark.parametrize("text", ["tag=a=b", "field=name=a=b", "pattern=*x*", "user=ann"])
def test_a_selector_reads_as_it_is_written(text: str) -> None:
    """What is parsed is shown the same."""
    assert str(CacheSelector.parse(text)) == text


@in_virtual_time
async def test_an_invalidation_asks_the_ledger_only_what_it_cannot_know() -> None:
    """The bump and the note, nothing else, unless another process bumped in between."""
    shared = MemoryStore()
    store = FlakyStore(shared)
    here, there_too = Cache([Tier(store=store)]), Cache([Tier(store=shared)])
    await fill(here)
    assert await there(here) == {"AI0", "AI1", "health0", "health1"}
    before = store.calls
    await here.invalidate("tag=market:AI")
    assert store.calls == before + 2
    assert await there(here) == {"health0", "health1"}
    await there_too.invalidate("tag=market:health")
    before = store.calls
    await here.invalidate("tag=other")
    assert store.calls == before + 3
    assert await there(here) == {"AI0", "AI1"}


@in_virtual_time
async def test_what_a_view_forgot_stays_dead() -> None:
    """A view that knows too many marks begins anew, and asks the ledger about older ones."""
    cache, other = two_processes(MemoryStore())
    await fill(cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hasten.cache.generation.MARKS_KNOWN", 50)
        await other.invalidate("field=area=AI")
        for number in range(60):
            await cache.invalidate(f"tag=other:{number}")
    assert len(cache.ledger.view._bumps) <= 50
    assert await there(cache) == {"health0", "health1"}


@in_virtual_time
async def test_what_is_invalidated_while_it_is_written_is_taken_back() -> None:
    """A pattern cannot have seen it yet; nobody finds it afterwards, in no tier."""
    store = FlakyStore(MemoryStore(), deadline_s=9)
    one, other = two_processes(store)
    key = one.key(TOOL, area="AI", n=0)
    computed = asyncio.create_task(one.get_or_compute(key, Counted(0.5), TOOL))
    await current_clock().sleep(0.4)
    store.delay_s = lambda: 0.5  # so that the write is under way when the pattern comes
    await computed
    store.delay_s = lambda: 0.0
    await other.invalidate("pattern=tool*")
    await current_clock().sleep(5)
    assert await store.inner.get_many([key.digest]) == [None]
    compute = Counted(0.0)
    await other.get_or_compute(key, compute, TOOL)
    assert compute.begun == 1


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (("another", "", ""), "built from another tenant's value"),
        (("acme", "ann", ""), "built from one person's value, but kept for others"),
        (("acme", "", "s1"), "built from one session's value, but kept for others"),
        (("acme", "", ""), ""),
        (("", "", ""), ""),
    ],
)
def test_nothing_is_kept_for_more_people_than_its_parts(
    part: tuple[str, str, str], why: str
) -> None:
    """A value that a tenant shares is made of what the tenant or everybody shares."""
    trail = CacheTrail()
    trail.owners.add(part)
    assert trail.leak_into(make_key("report", {}, Caller("acme", "ben"))) == why
