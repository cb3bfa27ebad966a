"""The cache for code that is not async: tools of CrewAI, LangChain's plain calls, scripts.

Owns the thread whose event loop the cache lives on, and the way there and back with
the caller's context, so that tenants stay apart. Leaves caching to ``cache`` and
where it is kept to ``hasten.wire``. Users call it; ``adapters/langchain`` stands on it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from hasten.cache.cache import Cache
from hasten.cache.cached import cached, use_cache
from hasten.settings import load_settings
from hasten.store.sql import open_sql
from hasten.wire_stores import open_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from hasten.cache.policy import CachePolicy

P = ParamSpec("P")
T = TypeVar("T")


@asynccontextmanager
async def configured(**flags: Any) -> AsyncIterator[Cache]:
    """Open the cache that the settings describe, which servers on them share.

    Raises ``SettingsError``, and ``StoreUnavailable`` when the database does not answer.
    """
    settings = load_settings(**flags)
    sql = await open_sql(settings.runs_url)
    try:
        async with open_cache(settings, sql) as cache:
            yield cache
    finally:
        await sql.close()


class BlockingCache:
    """A cache that is called without ``await``, from any thread.

    ``opened`` opens it at first use: by default one in memory; ``configured`` is the
    one of the settings. ``close()`` it, or use it with ``with``. Not for code that
    runs on an event loop: there is ``Cache`` itself.
    """

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Cache]] = Cache) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cache: asyncio.Task[Cache] | None = None
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cached(self, policy: CachePolicy) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Keep a function's results under ``policy``, as ``@cached`` does an async one's.

        Identical calls at the same time compute once. Raises as ``cached`` does.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            @functools.wraps(function)
            async def ask(*args: P.args, **kwargs: P.kwargs) -> T:
                return await asyncio.to_thread(function, *args, **kwargs)

            kept = cached(policy)(ask)

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> T:
                async def asked(cache: Cache) -> T:
                    with use_cache(cache):
                        return await kept(*args, **kwargs)

                return self.submit(asked).result()

            return call

        return decorate

    def submit(self, work: Callable[[Cache], Coroutine[Any, Any, T]]) -> Future[T]:
        """Start ``work`` on the cache's loop, in the caller's context; give its future."""
        loop, context, done = self._started(), copy_context(), Future[T]()

        async def run() -> T:
            if self._cache is None or (self._cache.done() and self._cache.exception()):
                self._cache = loop.create_task(self._stack.enter_async_context(self._opened()))
            return await work(await asyncio.shield(self._cache))

        def start() -> None:
            task = loop.create_task(run(), context=context)
            task.add_done_callback(lambda ended: _pass_on(ended, done))

        loop.call_soon_threadsafe(start)
        return done

    def close(self) -> None:
        """Close the cache and its stores, and end the thread; the next use opens it again."""
        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                return
            asyncio.run_coroutine_threadsafe(self._stack.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            self._loop = self._thread = self._cache = None
            self._stack = AsyncExitStack()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="hasten cache", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()


def _pass_on(task: asyncio.Task[T], done: Future[T]) -> None:
    if task.cancelled():
        done.cancel()
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())
