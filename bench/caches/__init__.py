"""One module a contestant of the cache benchmark, and a module a kind of figure.

A contestant has ``open_cache(where, fetch)``: an async context that gives a bound
call for each name, kept in memory (``where`` is empty), in the Redis at a URL or
in a folder. ``is_protected`` asks for the best it has against computing twice.
``open_fields(fetch)`` makes the key from five fields at each call. The cases leave
out who has no such tier.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")

Call: TypeAlias = "Callable[[], Awaitable[str]]"
Fetch: TypeAlias = "Callable[..., Awaitable[str]]"
Opened: TypeAlias = "AbstractAsyncContextManager[Callable[..., Call]]"
"""Gives a function that binds what ``fetch`` takes and returns the call to measure."""

MODULES = {
    "hasten": "ours",
    "aiocache": "aiocache",
    "cashews": "cashews",
    "dogpile.cache": "dogpile",
    "diskcache": "diskcache",
    "bare": "bare",
}

_WORDS = ("the", "market", "of", "tools", "costs", "and", "risks", "over", "time", "with", "more")


class Contestant(Protocol):
    """What a contestant's module has."""

    def open_cache(self, where: str, fetch: Fetch, *, is_protected: bool = False) -> Opened:
        """Open a cache of ``fetch``, a function of one name."""

    def open_fields(self, fetch: Fetch) -> Opened:
        """Open a cache in memory of ``fetch``, a function of five fields."""


def find(name: str) -> Contestant | None:
    """Return a contestant's module, or ``None`` if its library is not installed."""
    try:
        module: Any = importlib.import_module(f"bench.caches.{MODULES[name]}")
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in {"bench", "hasten"}:
            raise
        return None
    return module


def competing(
    figure: Callable[[Contestant], float], *, without: tuple[str, ...] = ()
) -> dict[str, Callable[[], float] | str]:
    """Return the runners of a case: ``figure`` of everybody who is installed and not left out."""

    def runner(one: Contestant) -> Callable[[], float]:
        return lambda: figure(one)

    runners: dict[str, Callable[[], float] | str] = {}
    for name in MODULES:
        if name not in without:
            found = find(name)
            runners[name] = "not installed" if found is None else runner(found)
    return runners


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on the event loop that the server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@lru_cache
def text(size_bytes: int) -> str:
    """Return that much text, which compresses as an answer in words does: to about a half."""
    draw = random.Random(1)
    words = [draw.choice((*_WORDS, f"{draw.randrange(99_999)}")) for _ in range(size_bytes)]
    return " ".join(words)[:size_bytes]
