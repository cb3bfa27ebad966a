"""The request-scoped tier: what dies with the request, and the session it belongs to.

Owns the context variables of one request. ``graph/run`` makes each run one; outside
of one, request-scoped values are computed each time. Values are kept as they are, not
copied: they never leave the request.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from hasten.cache.decide import Fresh, Miss
from hasten.cache.flight import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from hasten.cache.stats import CacheCounters


class CacheRequest:
    """One request: its session, and what was computed in it so far."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._values: dict[bytes, asyncio.Future[Any]] = {}

    async def get_or_compute(self, digest: bytes, compute: Callable[[], Awaitable[Any]]) -> Any:
        """Return the value under ``digest``; computed once in the request, errors excepted."""
        found = self._values.get(digest)
        if found is None:
            found = self._values[digest] = asyncio.ensure_future(compute())
            found.add_done_callback(lambda done: self._forget_failure(digest, done))
        return await asyncio.shield(found)

    def has(self, digest: bytes) -> bool:
        """Whether the value is there or on its way."""
        return digest in self._values

    def close(self) -> None:
        """Stop what nobody can wait for any more."""
        for value in self._values.values():
            value.cancel()
        self._values.clear()

    def _forget_failure(self, digest: bytes, done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._values.pop(digest, None)


async def answer_in_request(
    digest: bytes, compute: Callable[[], Awaitable[Any]], counters: CacheCounters
) -> Answer:
    """Return the value of the request this task works for, computed if it is not there."""
    request = _request.get()
    if request is None:
        return Answer(await compute(), Miss("no request to keep it for"))
    if request.has(digest):
        counters.hits += 1
        value = await request.get_or_compute(digest, compute)
        return Answer(value, Fresh(0.0, math.inf), "request")
    counters.misses += 1
    value = await request.get_or_compute(digest, compute)
    return Answer(value, Miss("nothing is stored under this key"))


_request: ContextVar[CacheRequest | None] = ContextVar("hasten_cache_request", default=None)


def current_session() -> str:
    """Return the session of the request this task works for; empty if there is none."""
    request = _request.get()
    return "" if request is None else request.session


def enter_request(session: str = "") -> CacheRequest:
    """Make this task, and the tasks it starts, one request; whoever enters it closes it."""
    request = CacheRequest(session)
    _request.set(request)
    return request


@contextmanager
def cache_request(session: str = "") -> Iterator[CacheRequest]:
    """Make this block, and the tasks it starts, one request with a tier of its own."""
    request = CacheRequest(session)
    token = _request.set(request)
    try:
        yield request
    finally:
        _request.reset(token)
        request.close()
