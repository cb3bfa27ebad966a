"""dogpile.cache: a region over memory, Redis or a dbm file.

It is not async: what waits, for Redis, a file or its lock, goes through a thread.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE

from bench.caches.threads import THREADS, threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch


@asynccontextmanager
async def open_cache(
    where: str,
    fetch: Fetch,
    *,
    is_protected: bool = False,  # noqa: ARG001 - it always is
) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls of ``get_or_create``."""
    region = make_region()
    if "://" in where:
        settings = {
            "url": where,
            "distributed_lock": True,
            "thread_local_lock": False,
            "connection_kwargs": {"max_connections": 2 * THREADS},
        }
        region.configure("dogpile.cache.redis", arguments=settings)
    elif where:
        region.configure("dogpile.cache.dbm", arguments={"filename": str(Path(where) / "dogpile")})
    else:
        region.configure("dogpile.cache.memory")
    with threads() as in_thread:

        async def call(name: str) -> str:
            found: Any = NO_VALUE if where else region.get(name)
            if found is NO_VALUE:
                create = partial(in_thread.wait_for, fetch, name)
                found = await in_thread.run(region.get_or_create, name, create)
            text: str = found
            return text

        yield lambda name: partial(call, name)


@asynccontextmanager
async def open_fields(fetch: Fetch) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls of its decorator, whose key is what it makes of the arguments by itself."""
    region = make_region().configure("dogpile.cache.memory")
    with threads() as in_thread:

        @region.cache_on_arguments()
        def answer(*fields: Any) -> str:
            return in_thread.wait_for(fetch, *fields)

        async def call(*fields: Any) -> str:
            found: Any = answer.get(*fields)
            if found is NO_VALUE:
                found = await in_thread.run(answer, *fields)
            text: str = found
            return text

        yield lambda *fields: partial(call, *fields)
