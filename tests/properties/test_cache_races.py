"""Races, hunted on the virtual clock with seeds: nothing stale, nothing of another tenant."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from hasten import virtual
from hasten.cache import fill
from hasten.cache.cache import Cache
from hasten.cache.generation import SYNC_EVERY_S
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.caller import Caller, set_caller
from hasten.clock import current_clock
from hasten.store.memory import MemoryStore
from hasten.virtual import VirtualLoop
from tests.cache.flaky import FlakyStore

if TYPE_CHECKING:
    import random

    from hasten.cache.key import Scope

TAGGED = CachePolicy(use="entity", ttl_s=1000, fields=("id",), tags=("entity:{id}",), wait_s=5)
WHOLE = CachePolicy(use="whole", ttl_s=1000, fields=("id",), wait_s=5)
SLACK_S = 0.2
"""What the store's own delays add to the bound within which another process knows."""


class Source:
    """Data that changes while it is read: what a caller may see at least, and what it saw."""

    def __init__(self) -> None:
        self.version = 0
        self.known: list[tuple[float, int]] = [(0.0, 0)]
        self.stale = 0
        self.reads = 0

    async def change(self, cache: Cache, how: str) -> None:
        """Change the data and say so; from then on nobody may see what was before."""
        self.version += 1
        version = self.version
        await cache.invalidate(how)
        self.known.append((current_clock().now(), version))

    def least(self, since_s: float) -> int:
        """Return the version that was known by then."""
        return max(version for at_s, version in self.known if at_s <= since_s)

    async def read(self, cache: Cache, *, is_whole: bool, bound_s: float) -> None:
        """Read through the cache, and count what is older than it may be."""
        least = self.least(current_clock().now() - bound_s)
        policy = WHOLE if is_whole else TAGGED
        key = cache.key(policy, id=1)
        compute = (lambda: self._whole(cache)) if is_whole else self._compute
        value = await cache.get_or_compute(key, compute, policy)
        self.reads += 1
        self.stale += value < least

    async def _compute(self) -> int:
        await pause(0.5)
        version = self.version
        await pause(2.0)
        return version

    async def _whole(self, cache: Cache) -> int:
        part = await cache.get_or_compute(cache.key(TAGGED, id=1), self._compute, TAGGED)
        await pause(1.0)
        return part


def draw() -> random.Random:
    """Return the seed's own random numbers."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.random


async def pause(most_s: float) -> None:
    """Wait for some time up to ``most_s``."""
    await current_clock().sleep(draw().uniform(0, most_s))


async def schedule(processes: int) -> Source:
    """Read and change one thing from some processes in an order the seed decides."""
    source, store = Source(), FlakyStore(MemoryStore(), deadline_s=9)
    random_ = draw()
    store.delay_s = lambda: random_.choice((0.0, 0.01, 0.03))
    caches = [Cache([Tier(store=store)]) if processes > 1 else Cache() for _ in range(processes)]
    ways = ("tag=entity:1", "field=id=1", "use=entity", "pattern=entity id=1")

    async def act(cache: Cache) -> None:
        for _ in range(random_.randint(2, 4)):
            await pause(3.0)
            if random_.random() < 0.4:
                await source.change(cache, random_.choice(ways))
            else:
                bound_s = 0.0 if processes == 1 else SYNC_EVERY_S + SLACK_S
                await source.read(cache, is_whole=random_.random() < 0.5, bound_s=bound_s)

    await asyncio.gather(*(act(random_.choice(caches)) for _ in range(5)))
    return source


def hunt(seeds: range, processes: int) -> tuple[int, int]:
    """Run a schedule for each seed; return how many reads there were, and how many stale."""
    found = [virtual.run(schedule(processes), seed=seed) for seed in seeds]
    return sum(one.reads for one in found), sum(one.stale for one in found)


@pytest.mark.parametrize("processes", [1, 2])
def test_nothing_stale_is_read_after_an_invalidation(processes: int) -> None:
    """Fills that race with invalidations never bring back what was before."""
    reads, stale = hunt(range(150), processes)
    assert reads > 500
    assert stale == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("processes", [1, 2])
def test_nothing_stale_is_read_in_many_schedules(processes: int, part: int) -> None:
    """The same in a hundred thousand schedules of each kind, in parts that may run side by side."""
    first = 1_000 + part * 20_000
    assert hunt(range(first, first + 20_000), processes)[1] == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_without_the_guard_stale_values_are_found(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hunt finds the race it is for: a fill that takes its generation when it ends."""
    keep = fill.CacheFill.keep

    def late(self: fill.CacheFill, value: object, took_s: float) -> Any:
        self.flight.trail.begin(self._cache.ledger.view.epoch)
        return keep(self, value, took_s)

    monkeypatch.setattr(fill.CacheFill, "keep", late)
    assert hunt(range(150), processes)[1] > 0


HOSTILE = ("", "a", "b", ":", "a:", ":a", "a:b", "\x00", "a\x00", "é", "e\u0301", "*", "x" * 65_536)
SCOPES: tuple[Scope, ...] = ("public", "tenant", "user", "session")


async def mingle(operations: int) -> int:
    """Let hostile callers use one cache; return how many got what is not theirs."""
    random_ = draw()
    store = MemoryStore(max_bytes=3_000_000)
    caches = [Cache([Tier(store=store)], memory_bytes=300_000) for _ in range(2)]
    people = [Caller(f"t{tenant}", user) for tenant in HOSTILE for user in HOSTILE[:6]]
    policies = {scope: CachePolicy(use="u", scope=scope, wait_s=0) for scope in SCOPES}
    leaks = 0
    for number in range(operations):
        caller, scope = random_.choice(people), random_.choice(SCOPES)
        session, field = random_.choice(HOSTILE[1:7]), random_.choice(HOSTILE)
        cache, policy = random_.choice(caches), policies[scope]
        set_caller(caller)
        if number % 500 == 0:
            await cache.invalidate(f"field=f={field or '-'}")
            continue
        key = policy.key({"f": field}, caller, session=session)
        owner = {
            "public": (),
            "tenant": (caller.tenant,),
            "user": (caller.tenant, caller.user),
            "session": (caller.tenant, caller.user, session),
        }[scope]
        mine = [scope, *owner, field]

        async def compute(mine: list[str] = mine) -> list[str]:
            return mine

        leaks += await cache.get_or_compute(key, compute, policy) != mine
    return leaks


def test_nobody_gets_what_is_not_theirs() -> None:
    """Whatever separators, zero bytes and look-alikes are in tenants, users and fields."""
    assert virtual.run(mingle(5_000)) == 0


@pytest.mark.slow
def test_nobody_gets_what_is_not_theirs_in_a_million_operations() -> None:
    """The same, a million times."""
    assert virtual.run(mingle(1_000_000), seed=1) == 0


def test_the_hunt_would_notice_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys of joined strings there are leaks: the callers are hostile enough."""

    def joined(values: list[Any], *, is_native: bool) -> bytes:
        return b":".join(str(value).encode() for value in values if value not in ("public", "user"))

    monkeypatch.setattr("hasten.cache.key._pack", joined)
    assert virtual.run(mingle(3_000)) > 0


def test_scopes_are_covered() -> None:
    """The callers use every scope but the request's, which no cache keeps."""
    assert len(list(itertools.chain(SCOPES))) == 4
