"""Hasten: memory alone, or one tier with memory left out, so that the tier is what is measured."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hasten.cache.cache import Cache
from hasten.cache.cached import cached, use_cache
from hasten.cache.policy import CachePolicy
from hasten.cache.tiers import Tier
from hasten.store.disk import DiskStore
from hasten.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch
    from hasten.store.base import ByteStore

POLICY = CachePolicy(use="bench", returns=str)
FIELDS = CachePolicy(use="bench", fields=("area", "style", "budget", "place", "year"), returns=str)


def store_at(where: str) -> ByteStore:
    """Return the store at a Redis URL or in a folder."""
    return RedisStore(where) if "://" in where else DiskStore(Path(where) / "ours.db")


@asynccontextmanager
async def open_cache(
    where: str,
    fetch: Fetch,
    *,
    is_protected: bool = False,  # noqa: ARG001 - it always is
) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls whose keys are made before."""
    tiers = [Tier(store=store_at(where))] if where else []
    async with Cache(tiers, memory_residence_s=0.0 if where else None) as cache:

        def bind(name: str) -> Call:
            key = cache.key(POLICY, name=name)
            return partial(cache.get_or_compute, key, partial(fetch, name), POLICY)

        yield bind


@asynccontextmanager
async def open_fields(fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls of a cached function."""

    @cached(FIELDS)
    async def answer(area: str, style: str, budget: int, place: str, year: int) -> str:
        return await fetch(area, style, budget, place, year)

    async with Cache() as cache:
        with use_cache(cache):
            yield lambda *fields: partial(answer, *fields)
