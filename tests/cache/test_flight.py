"""Single-flight: one computation for all who ask, in a process and across processes."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.decide import Fresh
from hasten.cache.key import mark
from hasten.cache.policy import CachePolicy, Directives
from hasten.cache.tiers import Tier
from hasten.caller import Caller
from hasten.clock import current_clock
from hasten.store.memory import MemoryStore
from tests.cache.counting import POLICY, Counted, in_virtual_time, key_of, two_processes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


def start(cache: Cache, compute: Counted, name: object = "a") -> asyncio.Task[Any]:
    """Start a call in a task of its own."""
    return asyncio.ensure_future(cache.get_or_compute(key_of(name), compute, POLICY))


@in_virtual_time
async def test_a_hundred_identical_misses_compute_once() -> None:
    """Whoever comes while it is computed, early or late, gets the same value."""
    cache, compute = Cache(), Counted(5.0)
    calls = []
    for _ in range(100):
        calls.append(start(cache, compute))
        await current_clock().sleep(0.04)
    assert set(await asyncio.gather(*calls)) == {"value 1"}
    assert cache.stats.of("tool", "").collapsed == 99


@in_virtual_time
async def test_the_first_caller_is_cancelled() -> None:
    """The other nine are served by the same computation."""
    cache, compute = Cache(), Counted(5.0)
    calls = [start(cache, compute) for _ in range(10)]
    await current_clock().sleep(1)
    calls[0].cancel()
    assert await asyncio.gather(*calls[1:]) == ["value 1"] * 9
    assert calls[0].cancelled()
    assert compute.begun == 1


@in_virtual_time
async def test_the_computation_stops_when_the_last_one_leaves() -> None:
    """Nothing is computed for nobody, and the next caller begins anew."""
    cache, compute = Cache(), Counted(5.0)
    calls = [start(cache, compute) for _ in range(3)]
    await current_clock().sleep(1)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    again = start(cache, compute)
    await current_clock().sleep(20)
    assert (compute.begun, compute.ended) == (2, 1)
    assert await again == "value 2"


@in_virtual_time
async def test_an_error_reaches_everybody_who_waited() -> None:
    """And nobody who comes later."""
    cache, compute = Cache(), Counted()
    compute.error = RuntimeError("down")
    failed = await asyncio.gather(
        *(start(cache, compute) for _ in range(5)), return_exceptions=True
    )
    assert all(str(one) == "down" for one in failed)
    compute.error = None
    assert await start(cache, compute) == "value 2"


@in_virtual_time
async def test_tenants_never_share_a_computation() -> None:
    """The same question of two tenants is two questions."""
    cache, compute = Cache(), Counted()
    calls = (
        cache.get_or_compute(key_of(caller=Caller(tenant, "ann")), compute, POLICY)
        for tenant in ("acme", "evil")
    )
    assert len(set(await asyncio.gather(*calls))) == 2


@in_virtual_time
async def test_nobody_joins_what_was_begun_before_an_invalidation() -> None:
    """A caller after it gets a value computed after it; what was begun before is not stored."""
    cache, compute = Cache(), Counted(5.0)
    early = start(cache, compute)
    await current_clock().sleep(1)
    await cache.ledger.bump([mark("field", "acme", "name", "a")])
    late = start(cache, compute)
    await current_clock().sleep(1)
    later = start(cache, compute)
    assert await asyncio.gather(early, late, later) == ["value 1", "value 2", "value 2"]
    assert await start(cache, compute) == "value 2"


@in_virtual_time
async def test_requests_with_directives_compute_for_themselves() -> None:
    """``no-cache`` must not be answered by what was begun before it."""
    cache, compute = Cache(), Counted(5.0)
    call = start(cache, compute)
    await current_clock().sleep(1)
    directives = Directives(no_cache=True)
    assert await cache.get_or_compute(key_of(), compute, POLICY, directives=directives) == "value 2"
    assert await call == "value 1"


@in_virtual_time
async def test_one_process_computes_for_all() -> None:
    """The others wait for the lease's holder and find the value in the tier they share."""
    store = MemoryStore()
    caches = [cache for _ in range(2) for cache in two_processes(store)]
    compute = Counted(5.0)
    calls = [start(cache, compute) for cache in caches for _ in range(25)]
    assert set(await asyncio.gather(*calls)) == {"value 1"}
    assert compute.begun == 1


@in_virtual_time
async def test_a_long_computation_keeps_its_lease() -> None:
    """It is renewed, however long it takes; the others wait as long as the policy says."""
    one, other = two_processes(MemoryStore())
    compute, patient = Counted(45.0), CachePolicy(use="tool", ttl_s=1000, wait_s=60)
    calls = (cache.get_or_compute(key_of(), compute, patient) for cache in (one, other))
    assert await asyncio.gather(*calls) == ["value 1"] * 2
    hasty = CachePolicy(use="hasty", wait_s=20)
    calls = (cache.get_or_compute(key_of("b", hasty), compute, hasty) for cache in (one, other))
    began_s = current_clock().monotonic()
    assert sorted(await asyncio.gather(*calls)) == ["value 2", "value 3"]
    assert current_clock().monotonic() - began_s == pytest.approx(65, abs=0.1)


@in_virtual_time
async def test_a_process_that_dies_leaves_its_lease_to_expire() -> None:
    """Another computes within the lease's time."""
    store = MemoryStore()
    _, cache = two_processes(store)
    await store.take_lease(key_of().digest, b"dead", 10.0)
    began_s = current_clock().monotonic()
    assert await start(cache, Counted(1.0)) == "value 1"
    assert current_clock().monotonic() - began_s == pytest.approx(11.0, abs=0.1)


@in_virtual_time
async def test_a_failed_computation_gives_its_lease_up_at_once() -> None:
    """Who waited computes without waiting any longer."""
    one, other = two_processes(MemoryStore())
    failing, compute = Counted(2.0), Counted(1.0)
    failing.error = RuntimeError("x")
    failed = start(one, failing)
    await current_clock().sleep(0.5)
    assert await start(other, compute) == "value 1"
    assert current_clock().monotonic() < 4
    with pytest.raises(RuntimeError):
        await failed


class Words:
    """A stream of words, a second apart, that counts how often it was opened."""

    def __init__(self, words: Sequence[str] = ("one", "two", "three")) -> None:
        self.words = words
        self.opened = self.closed = 0
        self.breaks_after: int | None = None

    async def open(self) -> AsyncGenerator[str, None]:
        """Yield the words."""
        self.opened += 1
        try:
            for number, word in enumerate(self.words):
                if number == self.breaks_after:
                    message = "broken"
                    raise ConnectionError(message)
                yield word
                await current_clock().sleep(1)
        finally:
            self.closed += 1


def whole(pieces: Sequence[str]) -> str:
    """Return the whole of a stream's pieces; an answer ends with ``three``."""
    if not pieces or pieces[-1] != "three":
        message = "not whole"
        raise ValueError(message)
    return " ".join(pieces)


def stream(cache: Cache, words: Words, policy: CachePolicy = POLICY) -> AsyncGenerator[str, None]:
    """Stream the words through the cache."""
    return cache.stream(key_of(policy=policy), words.open, policy, whole=whole, replay=str.split)


async def read(pieces: AsyncGenerator[str, None]) -> list[str]:
    """Read a stream to its end."""
    return [piece async for piece in pieces]


@in_virtual_time
async def test_a_late_reader_gets_a_stream_from_its_start() -> None:
    """At once what has come so far, then each piece as it comes; the upstream is opened once."""
    cache, words = Cache(), Words()
    first = asyncio.ensure_future(read(stream(cache, words)))
    await current_clock().sleep(1.5)
    times = [current_clock().monotonic() async for _ in stream(cache, words)]
    assert times == [1.5, 1.5, 2.0]
    assert await first == list(words.words)
    assert await read(stream(cache, words)) == list(words.words)
    assert words.opened == 1


@in_virtual_time
async def test_a_stream_and_a_plain_call_share_a_computation() -> None:
    """Whichever came first, both get the whole."""
    cache, words, compute = Cache(), Words(), Counted(5.0)
    reading = asyncio.ensure_future(read(stream(cache, words)))
    await current_clock().sleep(0.5)
    assert await start(cache, compute) == "one two three"
    assert await reading == list(words.words)
    other = CachePolicy(use="other")
    compute.give = lambda _: "one three"
    call = asyncio.ensure_future(cache.get_or_compute(key_of(policy=other), compute, other))
    await current_clock().sleep(0.5)
    assert await read(stream(cache, words, other)) == ["one", "three"]
    assert await call == "one three"
    assert words.opened == 1


@in_virtual_time
async def test_a_stream_stops_when_its_last_reader_leaves() -> None:
    """The upstream is closed at once, and nothing of it is stored."""
    cache, words = Cache(), Words()
    for count in (1, 2):
        readers = [stream(cache, words) for _ in range(2)]
        for reader in readers:
            await anext(reader)
        await readers[0].aclose()
        await current_clock().sleep(0.5)
        assert words.closed == count - 1
        await readers[1].aclose()
        await current_clock().sleep(0)
        await current_clock().sleep(0)
        assert words.closed == words.opened == count


@in_virtual_time
async def test_only_whole_streams_are_stored() -> None:
    """However many pieces came before it was cut, by an error or a silent end."""
    for cut in range(4):
        cache, words = Cache(), Words()
        if cut < 3:
            words.breaks_after = cut
            pieces = stream(cache, words)
            assert [await anext(pieces) for _ in range(cut)] == list(words.words[:cut])
            with pytest.raises(ConnectionError):
                await anext(pieces)
            short = Words(words.words[:cut])
            with pytest.raises(ValueError, match="not whole"):
                await read(stream(cache, short))
        assert await read(stream(cache, Words())) == list(words.words)
        assert cache.stats.of("tool", "memory").hits == 0
        assert await read(stream(cache, Words(()))) == list(words.words)


@in_virtual_time
async def test_a_broken_stream_is_replaced_only_before_its_first_piece() -> None:
    """A stale answer stands in for a stream that gave nothing; never after text was shown."""
    cache, words = Cache(), Words()
    policy = CachePolicy(use="tool", ttl_s=10, jitter=0, stale_if_error_s=1e6)
    await read(stream(cache, words, policy))
    await current_clock().sleep(20)
    words.breaks_after = 0
    assert await read(stream(cache, words, policy)) == ["one", "two", "three"]
    words.breaks_after = 1
    with pytest.raises(ConnectionError):
        await read(stream(cache, words, policy))


@in_virtual_time
async def test_many_keys_keep_their_order_and_compute_what_is_missing_once() -> None:
    """Hits in memory and in a tier, flights of others, duplicates and misses in one call."""
    one, other = two_processes(MemoryStore())
    asked: list[list[object]] = []

    async def compute_missing(keys: Sequence[Any]) -> list[str]:
        names = [key.fields["name"] for key in keys]
        asked.append(names)
        await current_clock().sleep(1)
        return [f"batch {name}" for name in names]

    await one.get_or_compute(key_of("far"), Counted(0.0), POLICY)
    await other.get_or_compute(key_of("near"), Counted(0.0), POLICY)
    await current_clock().sleep(0)
    flying = start(other, Counted(3.0), "flying")
    await current_clock().sleep(1)
    names = ["m1", "near", "far", "m1", "flying", "m2"]
    call = other.get_many([key_of(name) for name in names], compute_missing, POLICY)
    values = await call
    assert values == ["batch m1", "value 1", "value 1", "batch m1", "value 1", "batch m2"]
    assert asked == [["m1", "m2"]]
    assert await flying == "value 1"
    assert await start(one, Counted(), "m2") == "batch m2"
    assert await one.get_many([], compute_missing, POLICY) == []


@in_virtual_time
async def test_a_batch_that_fails_or_is_left_ends_for_all() -> None:
    """Its error reaches whoever waits, and it is stopped when nobody does."""
    cache, begun, ended = Cache(), 0, 0

    async def compute_missing(keys: Sequence[Any]) -> list[str]:
        nonlocal begun, ended
        begun += 1
        await current_clock().sleep(1)
        if keys[0].fields["name"] == "bad":
            message = "bad batch"
            raise ValueError(message)
        ended += 1
        return ["x"] * len(keys)

    with pytest.raises(ValueError, match="bad batch"):
        await cache.get_many([key_of("bad"), key_of("b")], compute_missing, POLICY)
    call = asyncio.ensure_future(cache.get_many([key_of(1), key_of(2)], compute_missing, POLICY))
    await current_clock().sleep(0.5)
    follower = start(cache, Counted(), 2)
    await current_clock().sleep(0.1)
    call.cancel()
    assert await follower == "x"
    left = asyncio.ensure_future(cache.get_many([key_of(3)], compute_missing, POLICY))
    await current_clock().sleep(0.5)
    left.cancel()
    await current_clock().sleep(5)
    assert (begun, ended) == (3, 1)


@in_virtual_time
async def test_closing_stops_what_is_being_computed() -> None:
    """No task outlives the cache."""
    compute = Counted(100.0)
    async with Cache() as cache:
        call = start(cache, compute)
        await current_clock().sleep(1)
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    assert current_clock().monotonic() == pytest.approx(1.0)


@in_virtual_time
async def test_a_renewal_reaches_the_other_process() -> None:
    """A stale value renewed by one is fresh for both."""
    one, other = two_processes(MemoryStore())
    policy = CachePolicy(use="tool", ttl_s=100, jitter=0, stale_while_revalidate_s=50)
    compute = Counted(5.0)
    await one.get_or_compute(key_of(policy=policy), compute, policy)
    await current_clock().sleep(110)
    calls = (c.get_or_compute(key_of(policy=policy), compute, policy) for c in (one, other))
    assert await asyncio.gather(*calls) == ["value 1", "value 1"]
    await current_clock().sleep(10)
    for cache in (one, other):
        answer = await cache.answer(key_of(policy=policy), compute, policy)
        assert (answer.value, type(answer.decision)) == ("value 2", Fresh)
    assert compute.begun == 2


def test_what_breaks_unawaited_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not when its task is garbage, which may be amid anything; it answers all the same."""

    class BrokenStore(MemoryStore):
        async def set_many(self, _items: Any) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        async with Cache([Tier(store=BrokenStore())], memory_residence_s=0) as cache:
            assert await start(cache, Counted(1.0)) == "value 1"
            await current_clock().sleep(1)
            (told,) = [one for one in caplog.records if one.name == "hasten.cache.flight"]
            assert (told.getMessage(), told.exc_info is None) == ("cache fill broke", False)
        caplog.clear()

    virtual.run(main())
    gc.collect()
    assert not caplog.records
