"""aiocache: its decorator, over memory or Redis; ``cached_stampede`` is its protection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocache import Cache, cached, cached_stampede

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch

LEASE_S = 60
"""Its default of two seconds is less than what is computed takes."""


@asynccontextmanager
async def open_cache(
    where: str, fetch: Fetch, *, is_protected: bool = False
) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls of a decorated function."""
    settings: dict[str, Any] = {"key_builder": lambda _, name: name, "cache": Cache.MEMORY}
    if where:
        parts = urlsplit(where)
        settings |= {"cache": Cache.REDIS, "endpoint": parts.hostname, "port": parts.port}
    decorate = cached_stampede(lease=LEASE_S, **settings) if is_protected else cached(**settings)
    call: Any = decorate(fetch)
    await call.cache.clear()
    yield lambda name: partial(call, name)
    await call.cache.close()


@asynccontextmanager
async def open_fields(fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls whose key is what it makes of the arguments by itself."""

    @cached()
    async def call(*fields: Any) -> str:
        return await fetch(*fields)

    yield lambda *fields: partial(call, *fields)
    await call.cache.clear()
