"""The cache as its callers see it: hits, misses, stale answers, errors, directives, tiers."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest

from hasten.cache.cache import Cache
from hasten.cache.decide import Fresh, Miss, Stale
from hasten.cache.policy import CachePolicy, Directives
from hasten.cache.request import cache_request
from hasten.cache.tiers import Tier
from hasten.cache.trail import add_cost, add_tags, taint
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.errors import InvalidInput, NotCached, StoredFailure
from hasten.store.memory import MemoryStore
from tests.cache.counting import POLICY, Counted, in_virtual_time, key_of, two_processes
from tests.cache.flaky import FlakyStore

NO_CACHE = Directives(no_cache=True)


def policy(**changes: Any) -> CachePolicy:
    """Return a policy of 100 s without jitter."""
    fields = {"use": "tool", "ttl_s": 100, "jitter": 0, "is_refreshed_early": False}
    return CachePolicy(**{**fields, **changes})


@in_virtual_time
async def test_a_value_is_computed_once() -> None:
    """The second caller gets the first one's value, and the decision says how old it is."""
    cache, compute = Cache(), Counted()
    first = await cache.answer(key_of(), compute, POLICY)
    await current_clock().sleep(10)
    second = await cache.answer(key_of(), compute, POLICY)
    assert (first.value, first.decision) == ("value 1", Miss("nothing is stored under this key"))
    assert first.stored == "stored"
    assert (second.value, second.decision, second.tier) == ("value 1", Fresh(10.0, 90.0), "memory")
    assert await cache.get_or_compute(key_of("b"), compute, POLICY) == "value 2"


@in_virtual_time
async def test_a_value_expires() -> None:
    """After its TTL it is computed anew, on the cache's own clock."""
    cache, compute = Cache(), Counted(0.0)
    for wait_s, expected in ((0, 1), (99.9, 1), (0.2, 2), (99, 2)):
        await current_clock().sleep(wait_s)
        assert await cache.get_or_compute(key_of(), compute, POLICY) == f"value {expected}"


@in_virtual_time
async def test_what_does_not_expire_stays() -> None:
    """A policy without a TTL keeps its values for ever."""
    cache, compute, forever = Cache(), Counted(), policy(ttl_s=None)
    for _ in range(3):
        answer = await cache.answer(key_of(), compute, forever)
        await current_clock().sleep(1e9)
    assert answer.decision == Fresh(2e9, math.inf)
    assert compute.begun == 1


@in_virtual_time
async def test_directives_of_a_request() -> None:
    """``no-cache`` renews, ``no-store`` writes nothing, ``only-if-cached`` computes nothing."""
    cache, compute = Cache([Tier(store=MemoryStore())]), Counted()
    with pytest.raises(NotCached, match="tool name=a: nothing is stored"):
        await cache.answer(key_of(), compute, POLICY, directives=Directives(only_if_cached=True))
    unstored = await cache.answer(key_of(), compute, POLICY, directives=Directives(no_store=True))
    assert unstored.stored == "no-store: the request forbids it"
    assert await cache.get_or_compute(key_of(), compute, POLICY) == "value 2"
    renewed = await cache.answer(key_of(), compute, POLICY, directives=NO_CACHE)
    assert renewed.decision == Miss("no-cache: the request wants a new answer")
    assert await cache.get_or_compute(key_of(), compute, POLICY) == "value 3"
    await current_clock().sleep(10)
    young = Directives(max_age_s=5)
    assert (await cache.answer(key_of(), compute, POLICY, directives=young)).value == "value 4"


@in_virtual_time
async def test_only_if_cached_asks_every_tier() -> None:
    """What another process stored is stored."""
    one, other = two_processes(MemoryStore())
    compute = Counted()
    await one.get_or_compute(key_of(), compute, POLICY)
    await current_clock().sleep(0)
    only = Directives(only_if_cached=True)
    assert (await other.answer(key_of(), compute, POLICY, directives=only)).tier == "memory"
    assert compute.begun == 1


@in_virtual_time
async def test_a_stale_value_is_served_while_it_is_renewed() -> None:
    """Nobody waits, and one computation renews it for all."""
    cache, compute = Cache(), Counted(5.0)
    kept = policy(stale_while_revalidate_s=50)
    await cache.get_or_compute(key_of(), compute, kept)
    await current_clock().sleep(110)
    answers = [await cache.answer(key_of(), compute, kept) for _ in range(3)]
    assert {answer.value for answer in answers} == {"value 1"}
    assert answers[0].decision == Stale(110.0, "stale-while-revalidate", is_renewed=True)
    await current_clock().sleep(6)
    assert (await cache.answer(key_of(), compute, kept)).value == "value 2"
    assert compute.begun == 2


@in_virtual_time
async def test_a_stale_value_stands_in_for_an_error() -> None:
    """As long as the policy says; the answer says so and is never stored as a new one."""
    cache, compute = Cache(), Counted()
    kept = policy(stale_if_error_s=50)
    await cache.get_or_compute(key_of(), compute, kept)
    compute.error = RuntimeError("upstream is down")
    await current_clock().sleep(120)
    answer = await cache.answer(key_of(), compute, kept)
    assert (answer.value, answer.stored) == ("value 1", "in place of an error: upstream is down")
    assert isinstance(answer.decision, Stale)
    await current_clock().sleep(50)
    with pytest.raises(RuntimeError, match="upstream is down"):
        await cache.answer(key_of(), compute, kept)


@in_virtual_time
async def test_a_stale_value_of_another_tier_stands_in_for_an_error() -> None:
    """A process that has just started has it from the others."""
    one, other = two_processes(MemoryStore())
    compute, kept = Counted(), policy(stale_if_error_s=50)
    await one.get_or_compute(key_of(), compute, kept)
    await current_clock().sleep(120)
    compute.error = RuntimeError("upstream is down")
    answer = await other.answer(key_of(), compute, kept)
    assert (answer.value, answer.tier) == ("value 1", "memory")


@in_virtual_time
async def test_errors_and_negative_results_are_not_stored() -> None:
    """Unless the policy says for how long."""
    cache, compute = Cache(), Counted()
    compute.error = RuntimeError("down")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="down"):
            await cache.get_or_compute(key_of(), compute, POLICY)
    assert compute.begun == 2
    compute.error, compute.give = None, lambda _: None
    for _ in range(2):
        assert await cache.get_or_compute(key_of(), compute, POLICY) is None
    assert compute.begun == 4


@in_virtual_time
async def test_errors_and_negative_results_are_stored_if_the_policy_says_so() -> None:
    """A stored error is said to be one, with the original's code; both end soon."""
    one, other = two_processes(MemoryStore())
    compute, kept = Counted(0.0), policy(error_ttl_s=5, negative_ttl_s=10)
    compute.error = InvalidInput("no such company", field="company")
    with pytest.raises(InvalidInput):
        await one.get_or_compute(key_of(), compute, kept)
    for cache in (one, other, other):
        with pytest.raises(StoredFailure, match="no such company") as caught:
            await cache.get_or_compute(key_of(), compute, kept)
        assert caught.value.original == "invalid_input"
    await current_clock().sleep(6)
    compute.error, compute.give = None, lambda _: None
    for _ in range(3):
        assert await one.get_or_compute(key_of(), compute, kept) is None
        await current_clock().sleep(4)
    assert compute.begun == 2
    assert await one.get_or_compute(key_of(), compute, kept) is None
    assert compute.begun == 3


@in_virtual_time
async def test_tainted_truncated_and_odd_values_are_not_stored() -> None:
    """Each answer says why it was not kept; the caller gets the value all the same."""
    cache, whole = Cache(), policy(is_storable=lambda value: value != "cut", max_bytes=100)

    async def tainted() -> str:
        taint("fallback of trends")
        return "x"

    async def cut() -> str:
        return "cut"

    async def large() -> bytes:
        return bytes(range(256))

    async def odd() -> object:
        return whole

    reasons = {
        tainted: "tainted: fallback of trends",
        cut: "not storable: the policy declines it",
        large: "too large: 261 bytes, the policy stores 100",
        odd: "a CachePolicy cannot be stored: ",
    }
    for compute, reason in reasons.items():
        for _ in range(2):
            answer = await cache.answer(key_of(compute.__name__), compute, whole)
            assert isinstance(answer.decision, Miss)
            assert answer.stored.startswith(reason)


@in_virtual_time
async def test_what_is_stored_elsewhere_is_found_and_held() -> None:
    """A tier's entry is promoted to memory and to the tiers before it."""
    near, home = MemoryStore(name="near"), MemoryStore(name="home")
    tiers = [Tier(store=near, residence_s=30), Tier(store=home)]
    one, other = Cache(tiers), Cache(tiers)
    compute = Counted()
    await one.get_or_compute(key_of(), compute, POLICY)
    await current_clock().sleep(0)
    await near.delete_many([key_of().digest])
    assert (await other.answer(key_of(), compute, POLICY)).tier == "home"
    await current_clock().sleep(0.001)
    assert (await near.get_many([key_of().digest]))[0] is not None
    assert (await other.answer(key_of(), compute, POLICY)).tier == "memory"
    assert compute.begun == 1


@in_virtual_time
async def test_memory_keeps_a_copy_for_its_residence_only() -> None:
    """After five minutes memory asks the next tier again; alone it keeps the policy's TTL."""
    far, alone = Cache([Tier(store=MemoryStore(name="home"))]), Cache()
    compute, long = Counted(), policy(ttl_s=1e6)
    for cache in (far, alone):
        await cache.get_or_compute(key_of(), compute, long)
    await current_clock().sleep(295)
    assert (await far.answer(key_of(), compute, long)).tier == "memory"
    await current_clock().sleep(10)
    assert (await far.answer(key_of(), compute, long)).tier == "home"
    assert (await alone.answer(key_of(), compute, long)).tier == "memory"


@in_virtual_time
async def test_what_is_kept_lives_in_the_store_for_it() -> None:
    """Entries that are never dropped for size have a home of their own, beside the others'."""
    near, home, kept = (MemoryStore(name=name) for name in ("near", "home", "kept"))
    cache = Cache([Tier(store=near, residence_s=60), Tier(store=home)], kept=kept)
    await cache.get_or_compute(key_of(), Counted(), POLICY)
    await cache.get_or_compute(key_of("rerun"), Counted(), policy(ttl_s=None, is_kept=True))
    await current_clock().sleep(0)
    assert (await near.size()).entries == 2
    assert await home.get_many([key_of().digest, key_of("rerun").digest]) != [None, None]
    assert (await home.size()).entries == 1
    assert list(kept._kept) == [key_of("rerun").digest]
    assert not near._kept
    assert [tier.name for tier in cache.all_tiers()] == ["near", "home", "kept"]


@in_virtual_time
async def test_what_is_kept_may_live_in_a_tier_that_holds_copies_of_the_rest() -> None:
    """One tier: it keeps what is kept for ever, and the rest for its residence."""
    shared, home = MemoryStore(name="shared"), MemoryStore(name="home")
    cache = Cache([Tier(store=shared, residence_s=60), Tier(store=home)], kept=shared)
    rerun = policy(ttl_s=None, is_kept=True)
    await cache.get_or_compute(key_of(), Counted(), policy(ttl_s=None))
    await cache.get_or_compute(key_of("rerun"), Counted(), rerun)
    await current_clock().sleep(0)
    assert [tier.name for tier in cache.all_tiers()] == ["shared", "home"]
    assert list(shared._kept) == [key_of("rerun").digest]
    assert shared._kept[key_of("rerun").digest].expires_s is None
    assert shared._queue.nodes[key_of().digest].item.expires_s is not None
    assert (await home.size()).entries == 1


@in_virtual_time
async def test_mutable_values_are_not_shared() -> None:
    """What one reader does to a value, no other reader sees, follower or later."""
    cache, compute = Cache(), Counted()
    compute.give = lambda _: {"list": [1]}
    values = await asyncio.gather(
        *(cache.get_or_compute(key_of(), compute, POLICY) for _ in range(3))
    )
    values.append(await cache.get_or_compute(key_of(), compute, POLICY))
    for value in values:
        assert value == {"list": [1]}
        value["list"].append(2)
    assert await cache.get_or_compute(key_of(), compute, POLICY) == {"list": [1]}
    assert compute.begun == 1


class Frozen(msgspec.Struct, frozen=True):
    """A frozen record."""

    text: str
    parts: tuple[int, ...] = ()


@in_virtual_time
async def test_values_come_back_as_their_type() -> None:
    """Frozen structs are shared as they are in memory, and decoded to their type elsewhere."""
    one, other = two_processes(MemoryStore())
    compute, typed = Counted(), policy(returns=Frozen)
    compute.give = lambda _: Frozen("x", (1, 2))
    first = await one.get_or_compute(key_of(), compute, typed)
    assert await one.get_or_compute(key_of(), compute, typed) is first
    assert await other.get_or_compute(key_of(), compute, typed) == first


@in_virtual_time
async def test_a_value_that_no_longer_fits_its_type_is_a_miss() -> None:
    """A record that gained a field is computed anew, not served half."""
    one, other = two_processes(MemoryStore(name="home"))
    compute = Counted()
    compute.give = lambda _: {"old": 1}
    await one.get_or_compute(key_of(), compute, POLICY)
    compute.give = lambda _: Frozen("x")
    typed = policy(returns=Frozen)
    for cache in (other, one):
        assert await cache.get_or_compute(key_of(), compute, typed) == Frozen("x")
    assert other.stats.of("tool", "home").errors > 0


@in_virtual_time
async def test_scopes_keep_people_apart() -> None:
    """A person's value is theirs, a tenant's the tenant's; what is public is everybody's."""
    cache, compute = Cache(), Counted()
    people = [Caller("acme", "ann"), Caller("acme", "ben"), Caller("evil", "ann")]
    for scope, distinct in (("user", 3), ("tenant", 2), ("public", 1)):
        scoped = policy(scope=scope)
        values = set()
        for person in people:
            set_caller(person)
            values.add(await cache.get_or_compute(cache.key(scoped, n=1), compute, scoped))
        assert len(values) == distinct


@in_virtual_time
async def test_a_request_has_a_tier_of_its_own() -> None:
    """Within a request a value is computed once, as it is; outside, or in the next, again."""
    cache, compute, scoped = Cache(), Counted(), policy(scope="request")
    compute.give = lambda _: object()
    outside = [await cache.get_or_compute(key_of(), compute, scoped) for _ in range(2)]
    assert outside[0] is not outside[1]
    for begun in (3, 4):
        with cache_request():
            calls = (cache.get_or_compute(key_of(), compute, scoped) for _ in range(5))
            assert len(set(await asyncio.gather(*calls))) == 1
        assert compute.begun == begun
    compute.error = RuntimeError("x")
    with cache_request():
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await cache.get_or_compute(key_of(), compute, scoped)
    assert compute.begun == 6


@in_virtual_time
async def test_a_session_has_keys_of_its_own() -> None:
    """The request says which session it belongs to; without one a session's key is refused."""
    cache, scoped = Cache(), policy(scope="session")
    with pytest.raises(InvalidInput):
        cache.key(scoped, n=1)
    digests = set()
    for session in ("s1", "s2"):
        with cache_request(session):
            digests.add(cache.key(scoped, n=1).digest)
    assert len(digests) == 2


@in_virtual_time
async def test_a_value_inherits_from_its_parts() -> None:
    """Its tags, its marks and what it was built from; a tainted part taints the whole."""
    cache = Cache()
    part, whole = policy(use="part", tags=("market:{name}",)), policy(use="whole")

    async def compute_part() -> str:
        add_cost(0.25)
        add_tags("late")
        return "p"

    async def compute_whole() -> str:
        return await cache.get_or_compute(key_of("AI", part), compute_part, part) + "w"

    for name in ("computed", "from a hit"):
        answer = await cache.answer(key_of(name, whole), compute_whole, whole)
        assert answer.entry is not None
        assert set(answer.entry.tags) == {"market:AI", "late"}
        assert set(key_of("AI", part).marks(["market:AI", "late"])) <= set(answer.entry.marks)
        assert key_of("AI", part).digest in answer.entry.provenance.built_from
        assert answer.entry.provenance.cost_usd == (0.25 if name == "computed" else 0.0)

    async def tainted_part() -> str:
        taint("late data")
        return "p"

    async def whole_of_tainted() -> str:
        return await cache.get_or_compute(key_of("x", part), tainted_part, part)

    answer = await cache.answer(key_of("t", whole), whole_of_tainted, whole)
    assert answer.stored == "tainted: late data"


@in_virtual_time
async def test_nothing_personal_is_kept_for_others() -> None:
    """A tenant's value built from one person's is not stored, hit or computed."""
    cache = Cache()
    personal, shared = policy(use="personal", scope="user"), policy(use="shared")

    async def compute() -> str:
        return await cache.get_or_compute(key_of("p", personal), Counted(), personal)

    for name in ("a", "b"):
        answer = await cache.answer(key_of(name, shared), compute, shared)
        assert answer.stored == "built from one person's value, but kept for others"
    own = policy(use="own", scope="user")
    assert (await cache.answer(key_of("c", own), compute, own)).stored == "stored"


@in_virtual_time
async def test_statistics_add_up() -> None:
    """Hits by tier, misses, collapsed callers, errors and what was saved."""
    one, other = two_processes(MemoryStore(name="home"))
    compute = Counted(2.0)
    calls = (one.get_or_compute(key_of(), compute, POLICY) for _ in range(4))
    await asyncio.gather(*calls)
    await current_clock().sleep(10)
    for _ in range(3):
        await one.get_or_compute(key_of(), compute, POLICY)
        await other.get_or_compute(key_of(), compute, POLICY)
    compute.error = RuntimeError("x")
    with pytest.raises(RuntimeError):
        await one.get_or_compute(key_of("b"), compute, POLICY)
    rows = {row.tier: row for row in one.stats.rows()}
    assert (rows[""].misses, rows[""].collapsed, rows[""].errors) == (2, 3, 1)
    assert (rows["memory"].hits, rows["memory"].saved_s) == (3, 6.0)
    assert rows["memory"].ages[4] == 3
    assert rows["home"].stored == 1
    rows = {row.tier: row for row in other.stats.rows()}
    assert (rows["home"].hits, rows["memory"].hits) == (1, 2)


@in_virtual_time
async def test_putting_stores_a_value_that_is_there_already() -> None:
    """And says whether it did."""
    cache = Cache()
    assert (await cache.put(key_of(), "given", POLICY)).stored == "stored"
    assert await cache.get_or_compute(key_of(), Counted(), POLICY) == "given"
    assert (await cache.put(key_of(), None, POLICY)).stored.startswith("negative")


@in_virtual_time
async def test_early_refreshes_spare_everybody_the_wait() -> None:
    """A busy key with a slow computation is hardly ever missed, and refreshed once a life."""
    cache, compute = Cache(), Counted(2.0)
    busy = policy(is_refreshed_early=True)
    await cache.get_or_compute(key_of(), compute, busy)
    waited = 0
    for _ in range(10_000):
        await current_clock().sleep(0.1)
        answer = await cache.answer(key_of(), compute, busy)
        waited += isinstance(answer.decision, Miss)
    assert waited <= 10
    assert 10 <= compute.begun - 1 <= 12
    assert cache.stats.of("tool", "").misses == compute.begun


@in_virtual_time
async def test_closing_lets_what_was_answered_be_written() -> None:
    """The caller has its value before the slow store has; closing right then loses nothing."""
    home = MemoryStore(name="home")
    slow = FlakyStore(home, deadline_s=1.0)
    cache = Cache([Tier(store=slow)])
    slow.delay_s = lambda: 0.5
    await cache.get_or_compute(key_of(), Counted(0.0), POLICY)
    assert (await home.size()).entries == 0
    await cache.close()
    assert (await home.size()).entries == 1
