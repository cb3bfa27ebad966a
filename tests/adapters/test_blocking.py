"""The cache without ``await``: from threads, for functions that are not async."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from hasten.adapters.blocking import BlockingCache, configured
from hasten.cache.cache import Cache
from hasten.cache.policy import CachePolicy
from hasten.caller import Caller, set_caller
from hasten.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

POLICY = CachePolicy(use="lookup")


def _in_thread(call: object, tenant: str) -> None:
    def run() -> None:
        set_caller(Caller(tenant=tenant, user="u"))
        call()  # type: ignore[operator]

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_identical_calls_compute_once_and_others_apart() -> None:
    """Eight threads at once; another argument is another question; the signature stays."""
    asked: list[str] = []
    everybody = threading.Event()

    with BlockingCache() as cache:

        @cache.cached(POLICY)
        def look(word: str, size: int = 1) -> list[str]:
            """Look a word up."""
            asked.append(word)
            everybody.wait(5.0)
            return [word] * size

        threads = [threading.Thread(target=look, args=("tea",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        everybody.set()
        for thread in threads:
            thread.join()
        assert look("tea") == ["tea"]
        assert look(word="tea", size=1) == ["tea"]
        assert look("tea", 2) == ["tea", "tea"]
        assert asked == ["tea", "tea"]
        assert look.__doc__ == "Look a word up."
    assert "hasten cache" not in [thread.name for thread in threading.enumerate()]


def test_tenants_stay_apart() -> None:
    """The key has the tenant of whoever calls, whichever thread the cache lives on."""
    asked: list[str] = []
    with BlockingCache() as cache:

        @cache.cached(POLICY)
        def look(word: str) -> str:
            asked.append(word)
            return word

        for tenant in ("one", "one", "two"):
            _in_thread(lambda: look("tea"), tenant)
    assert asked == ["tea", "tea"]


def test_errors_come_through_and_are_not_kept() -> None:
    """As they were raised; a decorator that cannot be meant says so at once."""
    fails = [True]
    with BlockingCache() as cache:

        @cache.cached(POLICY)
        def look(word: str) -> str:
            if fails.pop():
                message = "not now"
                raise LookupError(message)
            return word

        with pytest.raises(LookupError, match="not now"):
            look("tea")
        fails.append(False)
        assert look("tea") == "tea"
        with pytest.raises(InvalidInput, match="client"):
            cache.cached(CachePolicy(use="x", fields=("word",)))(_ask)


def test_a_cached_function_may_call_another() -> None:
    """The thread that computes is not the one that the cache lives on."""
    with BlockingCache() as cache:

        @cache.cached(CachePolicy(use="inner"))
        def inner(word: str) -> str:
            return word * 2

        @cache.cached(CachePolicy(use="outer"))
        def outer(word: str) -> str:
            return inner(word)

        assert outer("a") == "aa"


def test_the_configured_cache_outlives_the_process_that_filled_it(tmp_path: Path) -> None:
    """What one has kept, the next finds."""
    asked: list[str] = []
    for _ in range(2):
        with BlockingCache(lambda: configured(home=tmp_path)) as cache:

            @cache.cached(POLICY)
            def look(word: str) -> str:
                asked.append(word)
                return word

            assert look("tea") == "tea"
    assert asked == ["tea"]


def test_a_cache_that_could_not_be_opened_is_tried_again() -> None:
    """And one that was closed opens anew."""
    tries: list[int] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Cache]:
        tries.append(1)
        if len(tries) == 1:
            message = "gone"
            raise StoreUnavailable(message, store="x")
        async with Cache() as cache:
            yield cache

    cache = BlockingCache(opened)
    look = cache.cached(POLICY)(_doubled)
    with pytest.raises(StoreUnavailable):
        look("a")
    assert look("a") == "aa"
    cache.close()
    cache.close()
    assert look("a") == "aa"
    cache.close()
    assert len(tries) == 3


def _ask(word: str, client: str) -> str:
    return client + word


def _doubled(word: str) -> str:
    return word * 2
