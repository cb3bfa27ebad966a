"""diskcache: one file, every call on a thread; ``Lock`` is its protection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from diskcache import Cache, Lock

from bench.caches.threads import threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bench.caches import Call, Fetch


@asynccontextmanager
async def open_cache(
    where: str, fetch: Fetch, *, is_protected: bool = False
) -> AsyncGenerator[Callable[..., Call]]:
    """Give calls that look, compute what is missing and set it."""
    with threads() as in_thread, Cache(where) as cache:

        def compute(name: str) -> str:
            text: str = in_thread.wait_for(fetch, name)
            cache.set(name, text)
            return text

        def get(name: str) -> str:
            text: str | None = cache.get(name)
            if text is not None:
                return text
            if not is_protected:
                return compute(name)
            with Lock(cache, f"lock {name}"):
                text = cache.get(name)
                return compute(name) if text is None else text

        async def call(name: str) -> str:
            return await in_thread.run(get, name)

        yield lambda name: partial(call, name)


async def drop_tag_ms(entries: int, tags: int) -> float:
    """Return the milliseconds of dropping one of the tags of so many entries."""
    with TemporaryDirectory() as folder, threads() as in_thread, Cache(folder) as cache:
        cache.create_tag_index()
        with cache.transact():
            for number in range(entries):
                cache.set(number, f"a short answer {number}", tag=f"area:{number % tags}")
        began_s = perf_counter()
        await in_thread.run(cache.evict, "area:0")
        return (perf_counter() - began_s) * 1e3
