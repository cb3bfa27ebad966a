"""The shared tier gone or frozen: the gateway goes on, and hardly slower."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.serve.gateway.conftest import CHAT, ask
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hasten.testing.redis import RedisServer
    from tests.serve.gateway.conftest import Door

    Through = Callable[..., Any]


async def answered(door: Door, *texts: str) -> None:
    """Ask one after the other, and check that each is answered."""
    for text in texts:
        given = await door.post(CHAT, ask(text))
        assert given.status == 200, given.body


def counted(store: Any) -> list[str]:
    """Note from now on what is asked of a store; return the notes."""
    asked: list[str] = []
    for name in ("get_many", "set_many", "changes"):
        act = getattr(store, name)

        async def noted(*given: Any, name: str = name, act: Any = act) -> Any:
            asked.append(name)
            return await act(*given)

        setattr(store, name, noted)
    return asked


def test_a_frozen_redis(through: Through, redis_server: RedisServer) -> None:
    """Hits and misses are answered; once it is found out nobody waits for it; it comes back."""
    redis_server.flush()

    async def test(door: Door) -> None:
        await answered(door, "known")
        (tier,) = [one for one in door.runtime.cache.all_tiers() if one.name == "redis"]
        asked = counted(tier.store)
        door.runtime.cache.ledger.view.doubt()  # so that even what memory holds asks the store
        with redis_server.frozen():
            await answered(door, "known", "new 1", "new 2")
            assert asked, "it was found out by asking"
            assert not tier.is_available
            first = len(asked)
            for number in range(20):
                await answered(door, "known", f"newer {number}")
            assert len(asked) - first < 20  # what looks whether it is back, none of the forty
        await until(lambda: tier.is_available)
        await answered(door, "known", "newer 1")

    through(test, redis_url=redis_server.url)


def test_a_redis_that_was_never_there(through: Through) -> None:
    """Started without it, the gateway answers, keeps and shares."""

    async def test(door: Door) -> None:
        await answered(door, "a")
        given = await asyncio.gather(*(door.post(CHAT, ask("b")) for _ in range(20)))
        assert {one.status for one in given} == {200}
        assert "hit" in (await door.post(CHAT, ask("a"))).said
        assert len(door.provider.seen) == 2

    through(test, redis_url="redis://127.0.0.1:1/0")
