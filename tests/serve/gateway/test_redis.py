"""The shared tier gone or frozen: the gateway goes on, and hardly slower."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tests.serve.gateway.conftest import CHAT, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.testing.redis import RedisServer
    from tests.serve.gateway.conftest import Door

    Through = Callable[..., Any]

PATIENT_S = 2.0
"""What the first calls may wait for a store that says nothing; those after it do not wait."""

QUICK_S = 0.25


async def timed(door: Door, text: str) -> float:
    """Return how long a call took."""
    began_s = time.perf_counter()
    given = await door.post(CHAT, ask(text))
    assert given.status == 200, given.body
    return time.perf_counter() - began_s


def test_a_frozen_redis(through: Through, redis_server: RedisServer) -> None:
    """Hits and misses are answered; once it is found out nobody waits for it; it comes back."""
    redis_server.flush()

    async def test(door: Door) -> None:
        await timed(door, "known")
        await asyncio.sleep(1.1)  # so that memory's view of what was invalidated is due
        with redis_server.frozen():
            for text in ("known", "new 1", "new 2"):
                assert await timed(door, text) < PATIENT_S
            for number in range(5):
                assert await timed(door, "known") < QUICK_S
                assert await timed(door, f"newer {number}") < QUICK_S
        assert await timed(door, "known") < PATIENT_S

    through(test, redis_url=redis_server.url)


def test_a_redis_that_was_never_there(through: Through) -> None:
    """Started without it, the gateway answers, keeps and shares."""

    async def test(door: Door) -> None:
        await timed(door, "a")
        given = await asyncio.gather(*(door.post(CHAT, ask("b")) for _ in range(20)))
        assert {one.status for one in given} == {200}
        assert "hit" in (await door.post(CHAT, ask("a"))).said
        assert len(door.provider.seen) == 2

    through(test, redis_url="redis://127.0.0.1:1/0")
