"""A cache whose Redis or PostgreSQL goes wrong: requests go on as misses, and it is found again.

Each fault is proved to have struck, and each test is shown to go red without its guard.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hasten.cache import tiers
from hasten.clock import current_clock
from hasten.errors import StoreError, StoreUnavailable
from hasten.store.breaker import StoreBreaker
from tests.faults.stand import DEADLINE_S, Stand, on_postgres, on_redis, recover_quickly

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from hasten.testing.server import StoreServer
    from tests.faults.relay import RelayFault

    Open = Callable[[], AbstractAsyncContextManager[Stand]]

KINDS = ("redis", "postgres")
FAULTS: tuple[RelayFault, ...] = ("gone", "slow", "silent", "garbled", "cut short")


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> StoreServer:
    """Give the server of each kind."""
    found: StoreServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def stand(server: StoreServer, request: pytest.FixtureRequest) -> Open:
    """Give what opens a cache on that server, emptied."""
    is_redis = type(server).__name__ == "RedisServer"
    url: str = request.getfixturevalue("redis_url" if is_redis else "postgres_url")
    return lambda: on_redis(url) if is_redis else on_postgres(url)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for a lost store more often than usual."""
    recover_quickly(monkeypatch)


async def relay_goes_wrong(opened: Stand, fault: RelayFault) -> None:
    """Use the cache before, while and after what comes from the server is spoilt."""
    assert opened.relay is not None
    await opened.check_hits("before")
    await opened.relay.spoil(fault)
    await opened.check_goes_on("meanwhile")
    assert opened.relay.struck > 0
    assert not opened.tier.is_available
    with pytest.raises(StoreUnavailable):
        await opened.cache.invalidate("use=another")
    await opened.relay.spoil("")
    await opened.check_recovers("after")
    computed = opened.computed
    await opened.call("before")
    assert opened.computed == computed


async def run_on(open_: Open, scenario: Callable[[Stand], Coroutine[Any, Any, None]]) -> None:
    """Play a scenario on a cache of its own."""
    async with open_() as opened:
        await scenario(opened)


@pytest.mark.parametrize("fault", FAULTS)
def test_requests_go_on_without_the_server(stand: Open, fault: RelayFault) -> None:
    """They are computed and counted, wait for it once, and use it again once it answers."""
    asyncio.run(run_on(stand, lambda opened: relay_goes_wrong(opened, fault)))


@contextmanager
def without(guard: str) -> Iterator[None]:
    """Switch one guard off for this block."""
    with pytest.MonkeyPatch.context() as patch:
        if guard == "an error is a miss":
            patch.setattr(tiers, "StoreError", ZeroDivisionError)
        elif guard == "breaker":
            patch.setattr(StoreBreaker, "trip", lambda _: None)
        else:
            patch.setattr(tiers.CacheTier, "_recover", lambda _: asyncio.sleep(0))
            patch.setattr("tests.faults.stand.RECOVERY_S", 1.0)
        yield


@pytest.mark.parametrize("guard", ["an error is a miss", "breaker", "recovery"])
def test_without_its_guard_it_shows(stand: Open, guard: str) -> None:
    """Each guard is what the test above stands on."""

    async def scenario(opened: Stand) -> None:
        with without(guard):
            await relay_goes_wrong(opened, "silent")

    with pytest.raises((AssertionError, StoreError, TimeoutError)):
        asyncio.run(run_on(stand, scenario))


def test_without_its_deadline_nothing_would_end(stand: Open) -> None:
    """A call waits for a silent server as long as the store lets it."""

    async def scenario(opened: Stand) -> None:
        assert opened.relay is not None
        await opened.check_hits("before")
        await opened.relay.spoil("silent")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hasten.clock.Clock.timeout", lambda _, __: asyncio.timeout(None))
            patch.setattr("hasten.store.deadline.StandingDeadline._ring", lambda _, __: None)
            patch.setattr(opened.store, "deadline_s", 1e6, raising=False)
            sql = getattr(opened.store, "_sql", None)
            if sql is not None:
                patch.setattr(type(sql), "within", lambda _, __, doing: doing)
            async with asyncio.timeout(DEADLINE_S * 5):
                await opened.call("meanwhile")

    with pytest.raises(TimeoutError):
        asyncio.run(run_on(stand, scenario))


def test_a_server_that_is_down_at_start(stand: Open) -> None:
    """A cache opens without it, computes, and finds it once it is up."""

    async def scenario(opened: Stand) -> None:
        assert opened.relay is not None
        await opened.relay.spoil("gone")
        await opened.check_goes_on("meanwhile")
        assert opened.relay.struck > 0
        await opened.relay.spoil("")
        await opened.check_recovers("after")

    asyncio.run(run_on(stand, scenario))


def test_a_server_that_is_stopped_and_started_again(stand: Open, server: StoreServer) -> None:
    """The process itself: what a Redis forgot is computed anew, and nothing dead comes back."""

    async def scenario(opened: Stand) -> None:
        await opened.check_hits("before")
        server.stop()
        try:
            await opened.check_goes_on("meanwhile")
        finally:
            server.start()
        await opened.check_recovers("after")

    asyncio.run(run_on(stand, scenario))


def test_a_frozen_server_costs_one_deadline(stand: Open, server: StoreServer) -> None:
    """SIGSTOP: the first request waits for a deadline, the others for nothing."""

    async def scenario(opened: Stand) -> None:
        await opened.check_hits("before")
        with server.frozen():
            await opened.check_goes_on("meanwhile")
            asked = opened.asked
            await asyncio.gather(*(opened.call(("at once", number)) for number in range(50)))
            assert opened.asked - asked < 25  # what looks whether it is back, none of the fifty
            assert not opened.tier.is_available
        await opened.check_recovers("after")

    asyncio.run(run_on(stand, scenario))


@pytest.mark.slow
def test_recovery_at_its_usual_pace(stand: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found again within five seconds, asked once a second, however many wait for it."""
    monkeypatch.undo()

    async def scenario(opened: Stand) -> None:
        assert opened.relay is not None
        await opened.check_hits("before")
        await opened.relay.spoil("silent")
        await opened.call("first")
        began_s = current_clock().monotonic()
        asked = opened.asked
        while current_clock().monotonic() - began_s < 4.0:
            await asyncio.gather(*(opened.call("meanwhile") for _ in range(20)))
            await asyncio.sleep(0.05)  # at its usual pace, which is what is tested
        assert 2 <= opened.asked - asked <= 6
        await opened.relay.spoil("")
        await opened.check_recovers("after")

    asyncio.run(run_on(stand, scenario))
