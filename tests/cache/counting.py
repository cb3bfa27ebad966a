"""Computations that count themselves, and caches for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasten import virtual
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.caller import Caller
from hasten.clock import current_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hasten.cache.key import Key
    from hasten.store.base import ByteStore

ALICE = Caller("acme", "alice")
POLICY = CachePolicy(use="tool", ttl_s=100, jitter=0, is_refreshed_early=False)


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def test() -> None:
        virtual.run(main())

    test.__doc__ = main.__doc__
    return test


def key_of(name: object = "a", policy: CachePolicy = POLICY, caller: Caller = ALICE) -> Key:
    """Return the key of one field."""
    return policy.key({"name": name}, caller)


def two_processes(store: ByteStore, **options: Any) -> tuple[Cache, Cache]:
    """Return two caches that share nothing but ``store``, as two processes would."""
    return Cache([Tier(store=store)], **options), Cache([Tier(store=store)], **options)


class Counted:
    """A computation of ``took_s`` that returns its number, or what ``give`` makes of it."""

    def __init__(self, took_s: float = 1.0) -> None:
        self.took_s = took_s
        self.begun = self.ended = 0
        self.error: Exception | None = None
        self.give: Any = lambda number: f"value {number}"

    async def __call__(self) -> Any:
        """Compute."""
        self.begun += 1
        number = self.begun
        await current_clock().sleep(self.took_s)
        if self.error is not None:
            raise self.error
        self.ended += 1
        return self.give(number)
