"""cashews: its decorator, over memory, Redis or diskcache; ``lock=True`` is its protection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from cashews import Cache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch

LIFE = "1h"


@asynccontextmanager
async def open_cache(
    where: str, fetch: Fetch, *, is_protected: bool = False
) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls of a decorated function; the key is a template of one name."""
    cache = Cache()
    if "://" in where:
        cache.setup(where)
    elif where:
        cache.setup("disk://", directory=where, shards=0)
    else:
        cache.setup("mem://")
    await cache.init()

    @cache(ttl=LIFE, key="bench:{name}", lock=is_protected)
    async def call(name: str) -> str:
        return await fetch(name)

    yield lambda name: partial(call, name)
    await cache.close()


@asynccontextmanager
async def open_fields(fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls whose key is a template of five fields."""
    cache = Cache()
    cache.setup("mem://")
    await cache.init()

    @cache(ttl=LIFE, key="bench:{area}:{style}:{budget}:{place}:{year}")
    async def call(area: str, style: str, budget: int, place: str, year: int) -> str:
        return await fetch(area, style, budget, place, year)

    yield lambda *fields: partial(call, *fields)
    await cache.close()


async def drop_tag_ms(entries: int, tags: int) -> float:
    """Return the milliseconds of dropping one of the tags of so many entries, in memory."""
    cache = Cache()
    cache.setup("mem://", size=2 * entries)
    await cache.init()

    @cache(ttl=LIFE, key="bench:{area}:{number}", tags=["area:{area}"])
    async def call(area: int, number: int) -> str:
        return f"a short answer {area} {number}"

    for number in range(entries):
        await call(number % tags, number)
    began_s = perf_counter()
    await cache.delete_tags("area:0")
    took_s = perf_counter() - began_s
    await cache.close()
    return took_s * 1e3
